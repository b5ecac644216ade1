/**
 * Scripts that take down what they share with others: their Runtime Server with all that runs there, the whole machine's
 * processes of their user, the disk. What they can do within their rights is said in docs/security.md; here, that all
 * that was there before them is there after them, and that their neighbours' Runs end well.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statfsSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { expect } from 'chai';

import { mountSmallDisk } from '../faults/small-disk.js';
import type { ControlPlane } from './attach.js';
import { startControlPlane, startEmbedded } from './control-plane.js';
import { commandLinesWith } from './pids.js';

/** Processes that only these Runs start. */
const SLEEP = '987302';
const SLOW_MS = 90_000;

const reasonOf = (status: Awaited<ReturnType<ControlPlane['end']>>['status']): string =>
  `${status?.phase} ${status?.conditions?.find(({ type }) => type === 'Finished')?.reason}`;

/** Runs that are retried, begin to run, and end well when they find the file `go` in their data folder. */
const waiting = (goFile: string) => ({
  source: {
    inline: `sleep ${SLEEP} & until [ -e ${goFile} ]; do sleep 0.05; done; echo "attempt=$KRUNTIME_ATTEMPT" >> "$KRUNTIME_OUTPUTS"`,
  },
  retryPolicy: { maxAttempts: 3, backoff: '100ms' },
});

describe('a Run that kills everything of its container', () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane();
  });
  after(() => plane?.stop());

  it('takes its Runtime Server along and the Runs there, which are retried; nobody else notices', async () => {
    const go = join(plane.dataDir, 'go');
    const names = Array.from({ length: 6 }, (_, n) => `good-${n}`);
    for (const name of names) await plane.create(name, waiting(go));
    await Promise.all(names.map((name) => plane.whenRun(name, ({ status }) => status?.phase === 'Running')));
    const daemons = plane.pidsOf('runtimed.js');
    const servers = plane.pidsOf('bash-runtime.js');
    expect(servers).to.have.length(2);
    await plane.create('killer', {
      source: {
        // All that carries the kubelet's sign of this container: in a container it sees no others.
        inline: `for p in /proc/[0-9]*; do [[ $p == /proc/$$ ]] || ! grep -qzxF "KRT_POD=$KRT_POD" $p/environ || kill -9 "$(basename $p)"; done; sleep ${SLEEP}`,
      },
    });
    const killer = await plane.end('killer', SLOW_MS);
    expect(reasonOf(killer.status)).to.equal('Failed ExecutionLost');
    await Promise.all(
      names
        .filter(
          (name) => plane.history(name).at(-1)?.status?.assignedPodUID === killer.status?.assignedPodUID,
        )
        .map((name) => plane.whenRun(name, ({ status }) => (status?.attemptHistory?.length ?? 0) > 0)),
    );
    writeFileSync(go, '');
    const ends = await Promise.all(names.map((name) => plane.end(name, SLOW_MS)));
    for (const { status } of ends) {
      const wasThere = (status?.attemptHistory ?? []).map(({ podUID }) => podUID);
      expect(reasonOf(status)).to.equal('Succeeded Succeeded');
      expect(wasThere).to.deep.equal(status?.attempt === 2 ? [killer.status?.assignedPodUID] : []);
    }
    const attempts = ends.map(({ status }) => status?.attempt);
    expect(attempts.filter((attempt) => attempt === 1)).to.have.length.within(2, 4);
    expect(attempts.filter((attempt) => attempt === 2)).to.have.length.within(2, 4);
    expect(plane.pidsOf('runtimed.js')).to.deep.equal(daemons);
    expect(plane.pidsOf('bash-runtime.js').filter((pid) => servers.includes(pid))).to.have.length(1);
    expect(commandLinesWith(SLEEP)).to.deep.equal([]);
  });
});

/** Why this machine cannot give a control plane processes of its own. */
const lacksNamespaces = (): string | undefined => {
  const { status, stderr, error } = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']);
  return status === 0
    ? undefined
    : `no PID namespace can be made here: ${error?.message ?? stderr.toString().trim()}`;
};

describe('a Run that kills everything of its user', () => {
  it('takes the control plane of one machine along; started again, it loses no Run and leaves nothing', async function () {
    const lack = lacksNamespaces();
    if (lack !== undefined) {
      process.stdout.write(`      skipped: ${lack}\n`);
      this.skip();
    }
    // A shell is the first process there, so that the supervisor can be killed; with it ends all the rest.
    const first = await startEmbedded({
      keeps: true,
      under: ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child', 'sh', '-c', '"$@" & wait', 'sh'],
    });
    try {
      const go = join(first.dataDir, 'go');
      for (const name of ['good-0', 'good-1']) await first.create(name, waiting(go));
      await Promise.all(
        ['good-0', 'good-1'].map((name) => first.whenRun(name, ({ status }) => status?.phase === 'Running')),
      );
      const outside = readlinkSync('/proc/self/ns/pid');
      await first.create('killer', {
        source: {
          // Should it ever get out of there, it must not begin.
          inline: `[[ $(readlink /proc/self/ns/pid) != '${outside}' ]] || exit 77; kill -9 -1; sleep ${SLEEP}`,
        },
      });
      await first.over;
      writeFileSync(go, '');
    } finally {
      await first.stop();
    }
    const second = await startEmbedded({ dataDir: first.dataDir });
    try {
      expect(reasonOf((await second.end('killer', SLOW_MS)).status)).to.equal('Failed ExecutionLost');
      for (const name of ['good-0', 'good-1']) {
        const { status } = await second.end(name, SLOW_MS);
        expect([reasonOf(status), status?.attempt, status?.outputs]).to.deep.equal([
          'Succeeded Succeeded',
          2,
          { attempt: '2' },
        ]);
      }
      await second.create('after', { source: { inline: 'true' } });
      expect(reasonOf((await second.end('after')).status)).to.equal('Succeeded Succeeded');
      expect(commandLinesWith(SLEEP)).to.deep.equal([]);
    } finally {
      await second.stop();
    }
  });
});

/** Resolves when there is such a file in the folder. */
const appears = async (folder: string, name: string): Promise<void> => {
  const watching = watch(folder);
  try {
    while (!readdirSync(folder).includes(name))
      await once(watching, 'change', { signal: AbortSignal.timeout(30_000) });
  } finally {
    watching.close();
  }
};

describe('a Run that fills the disk', () => {
  it('fails by itself; its neighbours end well as soon as it is gone, and all it took is free again', async function () {
    let lack: string | undefined;
    const plane = await startEmbedded({
      prepare: (dataDir) => {
        const disk = mountSmallDisk(join(dataDir, 'pods'), 96);
        if (typeof disk === 'string') lack = disk;
        return () => (typeof disk === 'string' ? undefined : disk.unmount());
      },
    });
    try {
      if (lack !== undefined) {
        process.stdout.write(`      skipped: ${lack}\n`);
        this.skip();
      }
      const { dataDir } = plane;
      const free = (): number => statfsSync(join(dataDir, 'pods')).bavail;
      const before = free();
      await plane.create('filler', {
        source: {
          inline: `head -c 1G /dev/zero > big; : > ${dataDir}/full; until [ -e ${dataDir}/go ]; do sleep 0.05; done; exit 3`,
        },
      });
      await appears(dataDir, 'full');
      expect(free()).to.equal(0);
      const daemons = plane.pidsOf('runtimed.js');
      const names = Array.from({ length: 12 }, (_, n) => `good-${n}`);
      for (const name of names)
        await plane.create(name, { source: { inline: `echo "n=${name}" >> "$KRUNTIME_OUTPUTS"` } });
      // No pod takes Runs any more, and the last of them is told so.
      await plane.whenRun(
        names.at(-1) ?? '',
        ({ status }) =>
          status?.conditions?.some(({ message }) => message?.startsWith('0 of 2 pods of Runtime bash')) ===
          true,
        SLOW_MS,
      );
      writeFileSync(join(dataDir, 'go'), '');
      expect(reasonOf((await plane.end('filler', SLOW_MS)).status)).to.equal('Failed RuntimeError');
      for (const name of names) {
        const { status } = await plane.end(name, SLOW_MS);
        expect([reasonOf(status), status?.attempt], JSON.stringify(status)).to.deep.equal([
          'Succeeded Succeeded',
          1,
        ]);
      }
      await plane.create('after', { source: { inline: 'head -c 8M /dev/zero > big' } });
      expect(reasonOf((await plane.end('after', SLOW_MS)).status)).to.equal('Succeeded Succeeded');
      expect(free()).to.be.greaterThan(before * 0.9);
      expect(plane.pidsOf('runtimed.js')).to.deep.equal(daemons);
    } finally {
      await plane.stop();
    }
  });
});

describe('a Run that writes without end', function () {
  this.timeout(300_000);
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane();
  });
  after(() => plane?.stop());

  /** Bytes on disk below a folder. */
  const onDisk = (folder: string): number =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).reduce((sum, path) => {
      try {
        return sum + lstatSync(join(folder, path)).blocks * 512;
      } catch {
        return sum;
      }
    }, 0);
  /** By hand also as much as 10 GiB. */
  const MEBIBYTES = Number(process.env.FLOOD_MIB ?? 384);
  const PROGRAMS = ['apiserver.js', 'controller.js', 'kubelet.js', 'runtimed.js', 'bash-runtime.js'];
  /** Of each program the most resident memory of one process since the last call, MiB. */
  const peaks = (): ReadonlyArray<number> =>
    PROGRAMS.map((program) =>
      Math.max(
        ...plane.pidsOf(program).map((pid) => {
          const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
          writeFileSync(`/proc/${pid}/clear_refs`, '5');
          return peak;
        }),
      ),
    );

  /** One that writes so much; the peaks of memory and disk meanwhile. */
  const flood = async (name: string, mebibytes: number) => {
    peaks();
    let most = 0;
    const looking = setInterval(() => {
      most = Math.max(most, onDisk(plane.dataDir));
    }, 200);
    const line = 'x'.repeat(99);
    await plane.create(name, { source: { inline: `yes ${line} | head -c ${mebibytes}M` } });
    const { status } = await plane.end(name, 240_000);
    clearInterval(looking);
    expect(reasonOf(status)).to.equal('Succeeded Succeeded');
    return { memory: peaks(), disk: most / 2 ** 20 };
  };

  it('takes no more memory and no more disk, however much it writes', async () => {
    const some = await flood('some', 128);
    const many = await flood('many', MEBIBYTES);
    PROGRAMS.forEach((program, i) => {
      expect((many.memory[i] ?? 0) - (some.memory[i] ?? 0), `${program}, MiB`).to.be.lessThan(64);
    });
    // What is kept of its log is there twice, in the pod and in the store, and in the log of a container.
    expect(many.disk - some.disk, 'disk, MiB').to.be.lessThan(64);
  });
});

/**
 * Scripts that mean harm, beside others that do not. Whatever one of them does within its rights:
 *
 * - it ends as its Run says, and nothing of it is left: no process, no folder;
 * - its neighbours succeed, with their own outputs;
 * - neither runtimed nor a Runtime Server is restarted because of it.
 *
 * What a Run can do to others of its pod because they share a user id is said in docs/security.md.
 */
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';

import { expect } from 'chai';

import type { Run } from '../../src/model/run.js';
import type { ControlPlane } from './attach.js';
import { START_LIMIT_MS, startControlPlane } from './control-plane.js';
import { commandLinesWith } from './pids.js';

type Hostile = Readonly<{
  does: string;
  inline: string;
  timeout?: string;
  /** How it has to end: phase and reason. */
  ends: RegExp;
}>;

const HOSTILE: Readonly<Record<string, Hostile>> = {
  flood: {
    does: 'writes 200 MB',
    inline: 'head -c 200000000 /dev/zero | tr "\\0" x; echo; echo last line',
    ends: /^Succeeded Succeeded/,
  },
  mute: {
    does: 'closes all it has and stays',
    inline: 'exec >&- 2>&- <&-; sleep 987301',
    timeout: '1s',
    ends: /^Timeout Timeout/,
  },
  stopped: {
    does: 'stops itself, so that it takes no SIGTERM',
    inline: 'kill -STOP $$; sleep 987301',
    timeout: '1s',
    ends: /^Timeout Timeout/,
  },
  litter: {
    does: 'leaves 200 processes in sessions of their own that ignore SIGTERM',
    inline: `trap '' TERM HUP; for i in {1..200}; do setsid -f sleep 987301 >/dev/null 2>&1 </dev/null; done`,
    ends: /^Succeeded Succeeded/,
  },
  bomb: {
    does: 'is a fork bomb',
    // It would stop by itself at 2,048, so that no machine suffers when nothing stops it.
    inline: 'b() { (($1 > 0)) || exec sleep 987301; b $(($1 - 1)) & b $(($1 - 1)); }; b 11',
    ends: /^Failed RuntimeError: killed by signal 9 \(SIGKILL\): it had more than 512 processes at once$/,
  },
  scatter: {
    does: 'is a fork bomb of which each process is in a session of its own',
    inline:
      'set -- "$@" 11; (($1)) || exec sleep 987301; setsid bash script $(($1 - 1)) >/dev/null 2>&1 & exec bash script $(($1 - 1))',
    ends: /^Failed RuntimeError: killed by signal 9 \(SIGKILL\): it had more than 512 processes at once$/,
  },
  files: {
    does: 'leaves 100,000 files, some of them in folders that nobody may enter',
    inline:
      'seq 90000 | xargs touch; for i in {1..20}; do mkdir -p d$i/e && (cd d$i/e && seq 500 | xargs touch) && chmod 0 d$i/e d$i; done; chmod 0 .',
    ends: /^Succeeded Succeeded/,
  },
  racer: {
    does: 'writes outputs while they are read',
    inline: '(while :; do echo "k=$RANDOM" >> "$KRUNTIME_OUTPUTS"; done) & sleep 0.1',
    ends: /^(Succeeded Succeeded|Failed Outputs(TooLarge|Invalid))/,
  },
  pipe: {
    does: 'makes a FIFO of its outputs',
    inline: 'rm -f "$KRUNTIME_OUTPUTS"; mkfifo "$KRUNTIME_OUTPUTS"',
    ends: /^Failed OutputsInvalid/,
  },
  link: {
    does: 'makes a link of its outputs',
    inline: 'ln -sfn /etc/passwd "$KRUNTIME_OUTPUTS"',
    ends: /^Failed OutputsInvalid/,
  },
  eraser: {
    does: 'removes its own folder, its outputs and its artifacts',
    inline: 'rm -rf "$PWD" "$(dirname "$KRUNTIME_OUTPUTS")"',
    ends: /^Succeeded Succeeded/,
  },
  mask: {
    does: 'goes by the name of another',
    inline: '(exec -a "node runtimed.js" sleep 987301) & exec -a "bash-runtime" sleep 0.1',
    ends: /^Succeeded Succeeded/,
  },
};

/** Resolves when the entry of the folder is no more. */
const removed = async (folder: string, entry: string, what: string): Promise<void> => {
  const watching = watch(folder);
  try {
    while (existsSync(join(folder, entry))) {
      const limit = AbortSignal.timeout(30_000);
      await once(watching, 'change', { signal: limit }).catch(() => {
        throw new Error(`the folder of ${what} is still there`);
      });
    }
  } finally {
    watching.close();
  }
};

const endOf = ({ status }: Run): string => {
  const finished = status?.conditions?.find(({ type }) => type === 'Finished');
  return `${status?.phase} ${finished?.reason}: ${status?.message}`;
};

describe('hostile Runs', () => {
  let plane: ControlPlane;
  let servers: ReadonlyArray<number>;
  const ends = new Map<string, Run>();
  const neighbours: Run[] = [];
  const SLOW_MS = 90_000;

  before(async function () {
    this.timeout(START_LIMIT_MS + 120_000);
    plane = await startControlPlane();
    servers = [...plane.pidsOf('runtimed'), ...plane.pidsOf('bash-runtime')];
    const hostile = Object.entries(HOSTILE).map(async ([name, { inline, timeout }]) => {
      await plane.create(name, { source: { inline }, ...(timeout === undefined ? {} : { timeout }) });
      ends.set(name, await plane.end(name, SLOW_MS));
    });
    const good = Array.from({ length: 30 }, async (_, n) => {
      await plane.create(`good-${n}`, { source: { inline: `echo "n=${n}" >> "$KRUNTIME_OUTPUTS"; pwd` } });
      neighbours.push(await plane.end(`good-${n}`, SLOW_MS));
    });
    await Promise.all([...hostile, ...good]);
  });
  after(() => plane?.stop());

  for (const [name, { does, ends: expected }] of Object.entries(HOSTILE))
    it(`one that ${does} ends as its Run says`, () => {
      const run = ends.get(name);
      expect(run && endOf(run)).to.match(expected);
      expect(run?.status?.attempt).to.equal(1);
    });

  it('leave their neighbours alone: each succeeds at the first attempt, with its own outputs', () => {
    expect(neighbours).to.have.length(30);
    for (const { metadata, status } of neighbours)
      expect(status, metadata.name).to.deep.include({
        phase: 'Succeeded',
        attempt: 1,
        outputs: { n: metadata.name.slice('good-'.length) },
      });
  });

  it('bring nobody down', () => {
    expect([...plane.pidsOf('runtimed'), ...plane.pidsOf('bash-runtime')]).to.deep.equal(servers);
  });

  it('leave no process', () => {
    expect(commandLinesWith('987301')).to.deep.equal([]);
  });

  it('leave no folder', async () => {
    const pods = join(plane.dataDir, 'pods');
    const workspaces = readdirSync(pods)
      .map((pod) => join(pods, pod, 'volumes', 'workspace'))
      .filter((path) => existsSync(path));
    expect(workspaces).to.have.length(2);
    // Folders are removed after the end is written: of what is still there, the removal is waited for.
    for (const workspace of workspaces)
      for (const [name, { metadata }] of ends) await removed(workspace, metadata.uid, name);
  });

  it('get nothing of what they point to into their status', () => {
    const root = readFileSync('/etc/passwd', 'utf8').split('\n')[0] ?? '';
    for (const run of ends.values()) expect(JSON.stringify(run.status)).to.not.contain(root);
  });
});

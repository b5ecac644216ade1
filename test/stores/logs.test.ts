/**
 * Logs in a bucket of a real server: the same bytes live, after the end and after the pod is gone, for every way to end;
 * a store that is away; a pod that dies; deletion. Needs servers: `npm run test:stores`.
 */
import { expect } from 'chai';
import { filter, firstValueFrom, timeout } from 'rxjs';

import { runs } from '../../src/model/resources.js';
import { isTerminal, type Run } from '../../src/model/run.js';
import { answer, type ControlPlane } from '../e2e/control-plane.js';
import { type Krt, krtWith } from '../e2e/krt.js';
import { expectSameLogs, liveLogs, textOf } from '../e2e/log-cases.js';
import { replacePods } from '../e2e/replace-pods.js';
import { SERVERS, type StoreServer } from './servers.js';
import { runtimedOf, startStoredPlane } from './stored-plane.js';

for (const [driver, start] of Object.entries(SERVERS))
  describe(`logs in ${driver}, end to end`, function () {
    this.timeout(180_000);
    let server: StoreServer;
    let plane: ControlPlane;
    let krt: Krt;
    let kill: () => void = () => undefined;
    before(async function () {
      if (!process.env.STORE_SERVERS) this.skip();
      server = await start();
      plane = await startStoredPlane(server);
      ({ krt, kill } = krtWith(plane.kubeconfig));
    });
    after(async () => {
      kill();
      await plane?.stop();
      await server?.stop();
    });

    const begin = (name: string, inline: string): Promise<Run> =>
      plane.create(name, { runtime: 'stored', source: { inline } });
    /** Keys of all that the store has of the Run, below its UID. */
    const stored = async ({ metadata }: Run): Promise<ReadonlyArray<string>> => {
      const prefix = `default/${metadata.uid}/`;
      const keys: string[] = [];
      for await (const { key } of server.open().list(prefix)) keys.push(key.slice(prefix.length));
      return keys.sort();
    };
    /** Resolves when the store has answered such a request, from now on. */
    const answered = (request: RegExp): Promise<string> =>
      firstValueFrom(
        server.proxy.answered$.pipe(
          filter((said) => request.test(said)),
          timeout({ first: 90_000 }),
        ),
      );
    /** The request that makes an object appear: S3 puts a small one under its key, GCS ends an upload. */
    const isStored = (): Promise<string> => answered(/^200 PUT .*(log-1-|upload_id=)/);
    const isRemoved = ({ metadata }: Run): Promise<string> =>
      answered(new RegExp(`^20[04] DELETE .*${metadata.uid}(/|%2F)log-`));
    const remove = (name: string): Promise<unknown> =>
      answer(plane.kube.delete(runs, { namespace: 'default', name }));

    it('are the same bytes live, after the end, and after the pod is gone, for every way to end', async () => {
      const live = await liveLogs(plane, krt, { runtime: 'stored' });
      await expectSameLogs(live, krt, 'ended');
      await replacePods(plane, {}, 'stored');
      await expectSameLogs(live, krt, 'pod gone');
      expect(textOf(await krt('logs', 'retried', '--attempt', 'all'))).to.equal('attempt 1\nattempt 2\n|');
      expect(textOf(await krt('logs', 'succeeded', '--tail', '1'))).to.equal('end|');
      const run = await plane.end('retried');
      const keys = await stored(run);
      expect(keys.map((key) => key.slice(0, 6))).to.deep.equal(['log-1-', 'log-2-']);
      expect(run.status?.logRef?.location).to.match(
        new RegExp(`results/default/${run.metadata.uid}/${keys[1]}$`),
      );
    });

    it('are the same bytes of a flood, head, gap and tail', async () => {
      await begin('flood', 'seq 3000000; echo last >&2');
      expect((await plane.end('flood', 60_000)).status?.phase).to.equal('Succeeded');
      const before = await krt('logs', 'flood');
      expect(before.out.toString().startsWith('1\n2\n3\n')).to.equal(true);
      expect(before.out.toString().endsWith('\n2999999\n3000000\n')).to.equal(true);
      expect(before.err.toString()).to.match(/^krt: [\d.]+ MiB of stdout were not kept\n(.*\n)*last\n$/);
      await replacePods(plane, {}, 'stored');
      const after = await krt('logs', 'flood');
      expect(textOf(after) === textOf(before), 'the same bytes').to.equal(true);
    });

    it('hold no end back while the store is away, and are stored once it is there', async () => {
      await server.proxy.close();
      let run: Run;
      const kept = isStored();
      try {
        await begin('unstored', 'echo kept; echo and this >&2');
        run = await plane.end('unstored', 30_000);
        expect(run.status?.phase).to.equal('Succeeded');
        expect(textOf(await krt('logs', 'unstored'))).to.equal('kept\n|and this\n');
      } finally {
        await server.proxy.open();
      }
      await kept;
      expect((await stored(run)).length).to.equal(1);
      await replacePods(plane, {}, 'stored');
      expect(textOf(await krt('logs', 'unstored'))).to.equal('kept\n|and this\n');
    });

    it('have what was shipped when the pod died in the middle of a Run, and krt says that it may not be all', async () => {
      const shipped = isStored();
      await begin('lost', 'echo first; sleep 600');
      // A log that goes on is shipped without anybody asking for it.
      await shipped;
      // So that it cannot store anything more when it is told to end.
      process.kill(runtimedOf(plane), 'SIGSTOP');
      await replacePods(plane, { gracePeriodSeconds: 1 }, 'stored');
      await plane.whenRun('lost', ({ status }) => isTerminal(status?.phase), 60_000);
      const { code, out, err } = await krt('logs', 'lost');
      expect(out.toString()).to.equal('first\n');
      expect(err.toString()).to.match(/^krt: log of attempt 1: its pod was lost .* may not be all\n$/);
      expect(code).to.equal(0);
    });

    it('go with their Runs', async () => {
      for (const name of ['failed', 'retried', 'lost', 'unstored']) {
        const run = await plane.end(name);
        expect((await stored(run)).length, name).to.be.greaterThan(0);
        const removed = isRemoved(run);
        await remove(name);
        await removed;
      }
      // The log of the pod that has it still on its own disk, too.
      const shipped = isStored();
      await begin('fresh', 'echo fresh');
      const fresh = await plane.end('fresh', 30_000);
      await shipped;
      const removed = isRemoved(fresh);
      await remove('fresh');
      await removed;
      expect(await stored(fresh)).to.deep.equal([]);
      expect(await stored(await plane.end('retried'))).to.deep.equal([]);
    });
  });

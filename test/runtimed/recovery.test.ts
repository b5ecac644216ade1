/** What dies, what happens: runtimed, its Runtime Server, its operator, in the middle of Runs. */
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ChannelCredentials } from '@grpc/grpc-js';
import { expect } from 'chai';

import { LogsClient, type ReadRequest, type ReadResponse } from '../../src/proto/gen/logs.js';
import { Api } from './api.js';
import { Pod, type PodOptions, script, tell, UNTIL_TOLD } from './pod.js';

/** All lines that the pod's Logs service gives out for a request. */
const readLines = (
  pod: Pod,
  request: Partial<ReadRequest> & Readonly<{ runUid: string }>,
): Promise<string[]> =>
  new Promise((resolve, reject) => {
    const client = new LogsClient(pod.logsTarget, ChannelCredentials.createInsecure());
    const lines: string[] = [];
    const stream = client.read({
      attempt: 0,
      follow: false,
      afterSeq: 0,
      tail: 0,
      stream: '',
      podUid: '',
      ...request,
    });
    stream.on('data', ({ records }: ReadResponse) =>
      lines.push(...records.map(({ line }) => line.toString())),
    );
    stream.on('end', () => resolve(lines));
    stream.on('error', reject);
    stream.on('close', () => client.close());
  });

describe('runtimed, when something dies', () => {
  let api: Api;
  const open: Pod[] = [];

  const start = async (options: PodOptions = {}): Promise<Pod> => {
    const pod = await Pod.start(api, options);
    open.push(pod);
    return pod;
  };

  before(async () => {
    api = await Api.start();
  });

  afterEach(async () => {
    await Promise.all(open.splice(0).map((pod) => pod.stop()));
  });

  after(() => api.stop());

  it('takes up after kill -9 what still runs and what ended meanwhile, with the log neither lost nor doubled', async () => {
    const pod = await start({ isProcess: true });
    await pod.ready();
    // Each waits for a file in its workspace, so that the test says when it goes on, however slow the machine is.
    const until = (file: string): string => `until [ -e ${file} ]; do sleep 0.02; done`;
    const running = await pod.assign('goes-on', script(`echo 1; echo 2; ${until('more')}; echo 3; printf 4`));
    const ending = await pod.assign('ends-meanwhile', script(`echo here; ${until('end')}; exit 4`));
    await Promise.all([pod.printed('goes-on', '2'), pod.printed('ends-meanwhile', 'here')]);
    await pod.killRuntimed();
    await writeFile(join(pod.workDir, ending.metadata.uid, 'end'), '');
    await pod.startRuntimed();
    const { hello } = await pod.operator.session(1);
    expect(hello.held.map(({ runName }) => runName).sort()).to.deep.equal(['ends-meanwhile', 'goes-on']);
    const second = await pod.ended('ends-meanwhile');
    await writeFile(join(pod.workDir, running.metadata.uid, 'more'), '');
    const first = await pod.ended('goes-on');
    expect(first).to.include({ phase: 'Succeeded', attempt: 1 });
    expect(second).to.include({ phase: 'Failed', attempt: 1, exitCode: 4 });
    const lines = await readLines(pod, { runUid: running.metadata.uid, follow: true });
    expect(lines).to.deep.equal(['1', '2', '3', '4']);
  });

  it('starts an assignment that was made while it was down, and fails what it lost with ExecutionLost', async () => {
    const pod = await start();
    await pod.ready();
    await pod.killRuntimed();
    await pod.schedule('waiting', script('echo here'));
    await pod.schedule('vanished', script('echo never'));
    await api.setStatus('vanished', { phase: 'Running', startTime: '2026-01-01T00:00:02Z' });
    await pod.startRuntimed();
    expect(await pod.ended('waiting')).to.include({ phase: 'Succeeded' });
    const lost = await pod.ended('vanished');
    expect(lost.phase).to.equal('Failed');
    expect(lost.conditions?.find(({ type }) => type === 'Finished')?.reason).to.equal('ExecutionLost');
    expect(pod.output('vanished')).to.deep.equal([]);
  });

  it('reports what the Runtime Server took with it as ExecutionLost, retried by policy, and runs on', async () => {
    const pod = await start();
    await pod.ready();
    await pod.assign('lost', script('sleep 300', { retryPolicy: { maxAttempts: 2, backoff: '30s' } }));
    await api.until('lost', ({ phase }) => phase === 'Running');
    await pod.killServer();
    await pod.startServer();
    const status = await pod.ended('lost');
    expect(status).to.include({ phase: 'Pending', attempt: 1 });
    expect(status.attemptHistory?.[0]?.reason).to.equal('ExecutionLost');
    expect(await pod.run('after', script('echo alive'))).to.include({ phase: 'Succeeded' });
  });

  it('does without the operator: takes assignments and cancellations from the API, and gives back what has no room', async () => {
    const pod = await start({ welcomes: false, capacity: 1 });
    await pod.logged('health of the pod changed');
    await pod.schedule('unattended', script('sleep 300'));
    await api.until('unattended', ({ phase }) => phase === 'Running');
    await pod.schedule('no-room', script(':'));
    const back = await api.until('no-room', ({ phase }) => phase === 'Pending');
    expect(back.conditions?.find(({ type }) => type === 'Scheduled')?.reason).to.equal('AtCapacity');
    expect(back.attempt).to.equal(1);
    await api.requestCancel('unattended');
    expect((await pod.ended('unattended')).phase).to.equal('Cancelled');
  });

  it('kills what is no longer its own as soon as it sees it', async () => {
    const pod = await start({ welcomes: false });
    await pod.schedule('taken', script('sleep 300'));
    await api.until('taken', ({ phase }) => phase === 'Running');
    await api.delete('taken');
    await pod.untilIdle();
    expect(await readdir(join(pod.stateDir, 'attempts'))).to.deep.equal([]);
  });

  it('drains on SIGTERM: takes nothing new, lets what runs end, and exits with 0', async () => {
    const pod = await start({ isProcess: true });
    await pod.ready();
    const draining = new Promise<void>((resolve) => {
      pod.operator.messages$.subscribe(({ message }) => {
        if (message?.$case === 'beat' && message.value.draining) resolve();
      });
    });
    const last = await pod.assign('last', script(`${UNTIL_TOLD}; echo "k=v" >> "$KRUNTIME_OUTPUTS"`));
    await api.until('last', ({ phase }) => phase === 'Running');
    const gone = new Promise((resolve) => pod.process.once('exit', resolve));
    pod.process.kill('SIGTERM');
    await draining;
    await tell(pod, last);
    expect(await gone).to.equal(0);
    expect((await api.read('last')).status).to.deep.include({ phase: 'Succeeded', outputs: { k: 'v' } });
  });

  it('serves the log of an attempt: the tail, one stream, from a cursor, and NOT_FOUND for what it has not', async () => {
    const pod = await start();
    await pod.ready();
    const run = await pod.assign(
      'lines',
      script('for i in 1 2 3; do echo out$i; done; echo err >&2; printf unfinished'),
    );
    await pod.ended('lines');
    const { uid: runUid } = run.metadata;
    expect(await readLines(pod, { runUid, stream: 'stdout' })).to.deep.equal([
      'out1',
      'out2',
      'out3',
      'unfinished',
    ]);
    expect(await readLines(pod, { runUid, tail: 1, stream: 'stdout' })).to.deep.equal(['unfinished']);
    expect(await readLines(pod, { runUid, afterSeq: 2 })).to.have.length(3);
    const missing = await readLines(pod, { runUid: 'nobody' }).catch((error: { code: number }) => error.code);
    expect(missing).to.equal(5);
    expect(existsSync(join(pod.stateDir, 'logs', `${runUid}@1-0-0`))).to.equal(true);
  });
});

/** What logs are tested with, whatever store keeps them: Runs that end in each way, and what was read of them. */
import { expect } from 'chai';

import type { ControlPlane } from './control-plane.js';
import type { Krt, Said } from './krt.js';

/** Name of a Run: script, more of its spec, the phase it ends in. */
const CASES: Readonly<Record<string, readonly [string, Readonly<Record<string, unknown>>, string]>> = {
  succeeded: [
    String.raw`printf 'a\377\0b\n\303\n\rno newline'; sleep 0.2; printf 'err \200\n' >&2; head -c 1048576 /dev/zero | tr '\0' x; echo; printf end`,
    {},
    'Succeeded',
  ],
  failed: ['echo out; echo err >&2; exit 3', {}, 'Failed'],
  late: ['echo before; sleep 60', { timeout: '500ms' }, 'Timeout'],
  cancelled: ['trap "echo bye; exit 0" TERM; echo up; while :; do read -t 1 <> <(:); done', {}, 'Cancelled'],
  silent: [':', {}, 'Succeeded'],
  retried: [
    'echo "attempt $KRUNTIME_ATTEMPT"; [ "$KRUNTIME_ATTEMPT" = 2 ]',
    { retryPolicy: { maxAttempts: 2, backoff: '50ms' } },
    'Succeeded',
  ],
};

/** Both streams of what was said, byte for byte. */
export const textOf = ({ out, err }: Said): string => `${out.toString('latin1')}|${err.toString('latin1')}`;

/** Runs them, each followed live by krt; what was read, by name. `retried`, of two attempts, is not among it. */
export const liveLogs = async (
  plane: ControlPlane,
  krt: Krt,
  spec: Readonly<Record<string, unknown>> = {},
): Promise<ReadonlyMap<string, string>> => {
  const live = new Map<string, string>();
  await Promise.all(
    Object.entries(CASES).map(async ([name, [inline, more, phase]]) => {
      await plane.create(name, { source: { inline }, ...spec, ...more });
      const followed = krt('logs', '-f', name);
      if (name === 'cancelled') {
        await plane.whenRun(name, ({ status }) => status?.phase === 'Running');
        await plane.patchRun(name, { spec: { cancelRequested: true } });
      }
      const run = await plane.end(name);
      expect(run.status?.phase, name).to.equal(phase);
      const said = await followed;
      if (name !== 'retried') live.set(name, textOf(said));
    }),
  );
  expect(live.get('succeeded')).to.equal(
    `a\xff\0b\n\xc3\n\rno newline${'x'.repeat(1048576)}\nend|err \x80\n`,
  );
  expect(live.get('failed')).to.equal('out\n|err\n');
  expect(live.get('late')).to.equal('before\n|');
  expect(live.get('cancelled')).to.equal('up\nbye\n|');
  return live;
};

/** Whether krt reads the same of each now. */
export const expectSameLogs = async (
  live: ReadonlyMap<string, string>,
  krt: Krt,
  when: string,
): Promise<void> => {
  for (const [name, text] of live) {
    const said = await krt('logs', name);
    expect(said.code, said.err.toString()).to.equal(0);
    expect(textOf(said) === text, `${name}, ${when}`).to.equal(true);
  }
};

/** Guide: Timeouts and Retries. */
import type { Section } from '../scene.js';

const FLAKY = `if [ "$KRUNTIME_ATTEMPT" -lt 3 ]; then echo "attempt $KRUNTIME_ATTEMPT fails" >&2; exit 1; fi
echo "attempt $KRUNTIME_ATTEMPT works"`;

export const timeoutsAndRetries: Section = {
  title: 'Timeouts and Retries',
  says: 'Timeouts end in the Timeout terminal phase, not generic Failed. Retries are at-least-once.',
  play: async ({ check, finished, krt }) => {
    const late = await krt(['run', '--name', 'too-long', '--timeout', '300ms', '--wait', '--', 'sleep 600']);
    const timedOut = await finished('too-long');
    check('the phase is Timeout', timedOut.status.phase === 'Timeout', timedOut.status);
    check('krt run --wait exits 124', late.code === 124, late.code);

    const flaky = await krt([
      'run',
      '--name',
      'flaky',
      '--retry-attempts',
      '3',
      '--retry-backoff',
      '200ms',
      '--wait',
      '--',
      FLAKY,
    ]);
    const retried = await finished('flaky');
    check(
      'the third attempt succeeds',
      retried.status.phase === 'Succeeded' && retried.status.attempt === 3 && flaky.code === 0,
      retried.status,
    );
    check('between them lie pauses of 200 ms and twice that', retried.tookMs >= 600, `${retried.tookMs} ms`);
    const logs = await krt(['logs', 'flaky', '--attempt', '3']);
    check('each attempt is a new execution', logs.stdout === 'attempt 3 works\n', logs.output);
  },
};

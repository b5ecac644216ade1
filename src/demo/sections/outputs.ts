/** Guide: Outputs. */
import type { Section } from '../scene.js';

export const outputs: Section = {
  title: 'Outputs',
  says: 'KEY=VALUE lines in $KRUNTIME_OUTPUTS become Run.status.outputs.',
  play: async ({ check, finished, krt }) => {
    const run = await krt([
      'run',
      '--name',
      'outputs-example',
      '--wait',
      '--',
      'echo "result=ok" >> "$KRUNTIME_OUTPUTS"',
    ]);
    check('krt run --wait exits 0', run.code === 0, run.output);
    const { status } = await finished('outputs-example');
    check(
      'status.outputs is result=ok and nothing else',
      JSON.stringify(status.outputs) === '{"result":"ok"}',
      status.outputs,
    );
    const value = await krt(['outputs', 'outputs-example', 'result']);
    check('krt outputs prints the value', value.stdout.trim() === 'ok', value.stdout);
  },
};

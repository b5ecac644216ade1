/** Guide: Use Environment Variables. */
import type { Section } from '../scene.js';

export const environmentVariables: Section = {
  title: 'Use Environment Variables',
  says: 'spec.env reaches the script.',
  play: async ({ apply, check, finished, krt }) => {
    const { ended } = await apply('run-env.yaml');
    check('the manifest is accepted as it is', ended.code === 0, ended.output);
    const { status } = await finished('env-example');
    check('it ends Succeeded', status.phase === 'Succeeded', status);
    const logs = await krt(['logs', 'env-example']);
    check('the script saw MESSAGE', logs.stdout === 'hello\n', logs.stdout);
  },
};

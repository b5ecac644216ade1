/** Guide: Create a Run. */
import type { Section } from '../scene.js';

export const createARun: Section = {
  title: 'Create a Run',
  says: 'The scheduler assigns Pending Runs to healthy Runtime Pods in the same namespace.',
  play: async ({ apply, check, finished, krt }) => {
    const { ended } = await apply('run.yaml');
    check('the manifest is accepted as it is', ended.code === 0, ended.output);
    const { status } = await finished('hello');
    check('it ends Succeeded', status.phase === 'Succeeded', status);
    check('on a pod of Runtime bash', status.assignedPod?.startsWith('bash-') === true, status.assignedPod);
    const logs = await krt(['logs', 'hello']);
    check('its script ran', logs.stdout === 'hello\n', logs.stdout);
    await krt(['get', 'hello', '-o', 'wide']);
  },
};

/** Guide: Cancellation, of a script with a tree of children, one of which has left the process group. */
import { hasProc, processFact } from '../../io/processes/proc.js';
import type { Section } from '../scene.js';

const SCRIPT = `sleep 600 & one=$!
setsid sleep 600 & two=$!
echo "tree $$ $one $two"
wait`;

const isAlive = (pid: number): boolean => {
  if (hasProc()) return processFact(pid) !== undefined;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

export const cancellation: Section = {
  title: 'Cancellation',
  says: 'Set spec.cancelRequested; the terminal phase becomes Cancelled when cancellation is applied.',
  play: async ({ check, follow, krt, narrator, patchRun, witness }) => {
    narrator.note(
      'hello has ended, and an end is for ever; a new hello takes its name, and this one goes on.',
    );
    await krt(['delete', 'hello']);
    await witness.gone('hello');
    await krt(['run', '--name', 'hello', '--', SCRIPT]);
    const logs = follow(['logs', '-f', 'hello']);
    const tree = await logs.line((line) => line.startsWith('tree '));
    const pids = tree.split(' ').slice(1).map(Number);
    check('its three processes live', pids.length === 3 && pids.every(isAlive), tree);

    const patched = await patchRun('hello', { spec: { cancelRequested: true } });
    check("the guide's patch is accepted", patched.ended.code === 0, patched.ended.output);
    const asked = await witness.run('hello', ({ spec }) => spec.cancelRequested === true);
    const cancelled = await witness.run('hello', ({ status }) => status?.completionTime !== undefined);
    narrator.fact('from the sight of the request to the sight of the end', cancelled.atMs - asked.atMs);
    const { status } = cancelled.object;
    check('the phase is Cancelled', status?.phase === 'Cancelled', status);
    check(
      'no process of the tree is left, not even the one with a session of its own',
      !pids.some(isAlive),
      pids,
    );
    await logs.ended;
  },
};

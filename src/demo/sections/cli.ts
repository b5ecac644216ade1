/** Guide: CLI. */
import type { Section } from '../scene.js';

const parsed = (text: string): Readonly<Record<string, unknown>> => {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return {};
  }
};

export const cli: Section = {
  title: 'CLI',
  says: 'krt: kubeconfig and context, namespaces, waiting, output formats, logs, cancellation, results.',
  play: async ({ check, follow, krt }) => {
    const list = await krt(['--context', 'kruntimes', '-n', 'default', 'list']);
    check(
      'krt list, with context and namespace given',
      list.code === 0 && list.stdout.includes('flaky'),
      list,
    );
    const elsewhere = await krt(['list', '-n', 'kube-system', '-o', 'json']);
    check(
      'another namespace has none of them',
      JSON.stringify(parsed(elsewhere.stdout).items) === '[]',
      elsewhere,
    );
    const wrong = await krt(['--context', 'nowhere', 'list']);
    check('a wrong context is one line and exit code 4', wrong.code === 4 && wrong.stdout === '', wrong);

    const json = await krt([
      'get',
      'outputs-example',
      '-o',
      'jsonpath={.status.phase} {.status.outputs.result}',
    ]);
    check('-o jsonpath picks fields', json.stdout.trim() === 'Succeeded ok', json.stdout);
    const name = await krt(['get', 'flaky', '-o', 'name']);
    check('-o name is for scripts', name.stdout.trim() === 'run.kruntimes.io/flaky', name.stdout);

    const exit = await krt(['run', '--name', 'exit-seven', '--wait', '--', 'exit 7']);
    check("--wait exits with the script's own exit code", exit.code === 7, exit.code);
    const argv = await krt(['run', '--follow', '--', 'printf', '%s|', 'a b', '*']);
    check('several words after -- are an argv, not a shell line', argv.stdout === 'a b|*|', argv.stdout);

    await krt(['run', '--name', 'endless', '--', 'echo begun; sleep 600']);
    const logs = follow(['logs', '-f', 'endless']);
    await logs.line((line) => line === 'begun');
    const cancelled = await krt(['cancel', 'endless', '--wait']);
    await logs.ended;
    check('krt cancel --wait: exit code 130', cancelled.code === 130, cancelled);
    const missing = await krt(['get', 'no-such-run']);
    check('what is not there: exit code 3', missing.code === 3, missing);
    const described = await krt(['describe', 'exit-seven']);
    check('krt describe tells why', described.stdout.includes('RuntimeError'), described.output);
  },
};

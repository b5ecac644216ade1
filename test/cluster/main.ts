/**
 * `npm run test:cluster`: the conformance suite, stock kubectl and the whole guide against a real kube-apiserver; with
 * `--level node` our charts and images on a whole node.
 *
 * Where this machine cannot, it says in one line what is missing and exits 0, as a skipped test does. It ends with a
 * line "cluster: N passing, N failing"; exit code 1 when any failed. SIGINT and SIGTERM remove everything, too.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import * as E from 'fp-ts/lib/Either.js';

import { ensureHelm } from '../charts/helm.js';
import { type ApiLevel, startApiLevel } from './api-level.js';
import { apiLevelPrograms, type Binaries, findBinaries, nodeLevelPrograms } from './binaries.js';
import { ensureCertManager } from './cert-manager/build.js';
import { startClusterPlane } from './control-plane.js';
import { ensureGoTool } from './go-tool.js';
import { type MadeParts, makeParts, whyNoNode } from './node/parts.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

const USAGE = `Usage: npm run test:cluster -- [--level api|node] [--build-limit SECONDS] [--test-limit SECONDS] [--grep TEXT]

  --level api            (default) etcd and kube-apiserver; pods are run by our process kubelet
  --level node           also kubelet, containerd and kube-proxy in namespaces of their own, with our images and charts;
                         needs root and a Debian to unpack packages from

  --build-limit SECONDS  skip when the programs are not built within this time (default 1500); a later run goes on
                         where this one stopped
  --test-limit SECONDS   fail when the tests are not over within this time (default 1500)
  --record               record what kubectl and kube-apiserver say to each other, for test/conformance/session.test.ts
  --grep TEXT            only tests whose name holds this
  --bench "ARGUMENTS"    no tests: npm run bench with these arguments on the API level, such as "a c --set c.runs=2000"
`;

const { values: flags } = parseArgs({
  options: {
    level: { type: 'string', default: 'api' },
    'build-limit': { type: 'string', default: '1500' },
    'test-limit': { type: 'string', default: '1500' },
    record: { type: 'boolean', default: false },
    grep: { type: 'string' },
    bench: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

/** Ends what is under way, because somebody said so or because its time is over. */
const interruption = new AbortController();

const skip = (why: string): number => {
  const what = flags.level === 'node' ? 'on a whole node' : 'against a real kube-apiserver';
  process.stdout.write(`skipped: the tests ${what}: ${why}\n`);
  return 0;
};

/** What one mocha process counted. */
type Counts = Readonly<{ passing: number; failing: number }>;

/** Runs mocha on files as a process of its own, so that the suites' globals and environment are theirs alone. */
const mocha = async (
  files: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>,
  /** What mocha is run by. */
  within: ReadonlyArray<string> = [],
): Promise<Counts> => {
  const grep = flags.grep === undefined ? [] : ['--grep', flags.grep];
  const [command = '', ...args] = [...within, process.execPath];
  const child = spawn(
    command,
    [
      ...args,
      'node_modules/mocha/bin/mocha.js',
      '--import=tsx/esm',
      '--no-color',
      '--timeout=60000',
      ...grep,
      ...files,
    ],
    {
      cwd: root,
      // Its own group: Ctrl-C on the terminal is ours to pass on.
      detached: true,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    process.stdout.write(chunk);
  });
  const stop = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM');
  };
  interruption.signal.addEventListener('abort', stop);
  const [code] = await once(child, 'close');
  interruption.signal.removeEventListener('abort', stop);
  const count = (what: string): number => Number(new RegExp(`^  (\\d+) ${what}`, 'm').exec(text)?.[1] ?? 0);
  const [passing, failing] = [count('passing'), count('failing')];
  return { passing, failing: failing === 0 && code !== 0 ? 1 : failing };
};

/** A folder with links to the programs, and a PATH that ends with it: kubectl, where the machine has none of its own. */
const gathered = (binaries: Binaries, folder: string): Readonly<{ programs: string; path: string }> => {
  const programs = join(folder, 'bin');
  mkdirSync(programs);
  for (const [name, path] of binaries) symlinkSync(path, join(programs, name));
  return { programs, path: `${process.env.PATH}${delimiter}${programs}` };
};

const recordSession = async (kubeconfig: string, path: string): Promise<Counts> => {
  const child = spawn(process.execPath, ['--import=tsx', 'test/conformance/record-session.ts'], {
    cwd: root,
    env: { ...process.env, CONFORMANCE_KUBECONFIG: kubeconfig, PATH: path },
    stdio: 'inherit',
  });
  const [code] = await once(child, 'close');
  return { passing: 0, failing: code === 0 ? 0 : 1 };
};

/** The bench on a control plane of kube-apiserver, operator, process kubelet and Runtime Pods. */
const benchApiLevel = async (programs: string, args: string): Promise<Counts> => {
  const plane = await startClusterPlane(programs);
  const stop = (): void => void plane.stop();
  interruption.signal.addEventListener('abort', stop);
  try {
    const child = spawn(
      process.execPath,
      [
        '--import=tsx/esm',
        'test/bench/main.ts',
        '--kubeconfig',
        plane.kubeconfig,
        ...args.split(' ').filter(Boolean),
      ],
      { cwd: root, stdio: 'inherit' },
    );
    const [code] = await once(child, 'close');
    return { passing: 0, failing: code === 0 ? 0 : 1 };
  } finally {
    interruption.signal.removeEventListener('abort', stop);
    await plane.stop();
  }
};

const testApiLevel = async (binaries: Binaries, folder: string): Promise<Counts> => {
  const { programs, path } = gathered(binaries, folder);
  if (flags.bench !== undefined) return benchApiLevel(programs, flags.bench);
  let level: ApiLevel | undefined;
  try {
    level = await startApiLevel(programs, join(folder, 'conformance'));
    const { body: version } = await level.call('GET', '/version');
    process.stdout.write(`kube-apiserver ${version.gitVersion}, ${version.platform}\n`);
    if (interruption.signal.aborted) return { passing: 0, failing: 0 };
    if (flags.record) return await recordSession(level.kubeconfig('admin', level.token('admin')), path);
    const conformance = await mocha(['test/conformance/*.test.ts'], {
      CONFORMANCE_KUBECONFIG: level.kubeconfig('admin', level.token('admin')),
      CONFORMANCE_CONTROLLERS: level.hasControllers ? 'all' : 'none',
      TMPDIR: folder,
      PATH: path,
    });
    await level.stop();
    level = undefined;
    if (interruption.signal.aborted) return conformance;
    // It starts and kills control planes of its own.
    // The charts' own tests want helm, which has been built by now.
    const files = ['test/charts/*.test.ts', 'test/cluster/*.test.ts', 'test/e2e/*.test.ts'];
    const guide = await mocha(files, {
      CLUSTER_BINARIES: programs,
      TMPDIR: folder,
      PATH: path,
    });
    return {
      passing: conformance.passing + guide.passing,
      failing: conformance.failing + guide.failing,
    };
  } finally {
    await level?.stop();
  }
};

/** What enforces network policies on the node. */
const KUBE_ROUTER = 'github.com/cloudnativelabs/kube-router/v2/cmd/kube-router@v2.1.0';

/** Programs of others, each for some tests that are skipped without it, by the variable that names it to them. */
const makeOthers = async (signal: AbortSignal): Promise<Readonly<Record<string, string>>> => {
  const made: Record<string, string> = {};
  for (const [variable, what, ensure] of [
    ['CLUSTER_CERT_MANAGER', 'certificates of cert-manager', ensureCertManager],
    ['CLUSTER_KUBE_ROUTER', 'network policies', (limit: AbortSignal) => ensureGoTool(KUBE_ROUTER, limit)],
  ] as const) {
    const program = await ensure(signal);
    if (E.isRight(program)) made[variable] = program.right;
    else process.stdout.write(`skipped: the tests of ${what}: ${program.left}\n`);
  }
  return made;
};

const testNodeLevel = (
  binaries: Binaries,
  parts: MadeParts,
  others: Readonly<Record<string, string>>,
  folder: string,
): Promise<Counts> => {
  const { programs, path } = gathered(binaries, folder);
  return mocha(
    ['test/cluster/node/*.test.ts'],
    {
      CLUSTER_NODE: [programs, parts.root, parts.images].join(delimiter),
      ...others,
      TMPDIR: folder,
      PATH: path,
    },
    // Its addresses are nobody else's, and nothing of it leaves the machine.
    ['unshare', '--net', '--'],
  );
};

const main = async (): Promise<number> => {
  if (process.platform !== 'linux') return skip('they need Linux');
  if (flags.level !== 'api' && flags.level !== 'node')
    throw new Error(`--level ${flags.level}: the levels are api and node`);
  const isNode = flags.level === 'node';
  const why = isNode ? whyNoNode() : undefined;
  if (why !== undefined) return skip(why);
  const limitReached = new AbortController();
  const buildLimit = setTimeout(
    () => limitReached.abort(`--build-limit ${flags['build-limit']} s is over; run it again to go on`),
    Number(flags['build-limit']) * 1000,
  );
  const making = AbortSignal.any([limitReached.signal, interruption.signal]);
  const binaries = await findBinaries(isNode ? nodeLevelPrograms : apiLevelPrograms, making);
  if (interruption.signal.aborted) return 130;
  if (E.isLeft(binaries)) return skip(binaries.left);
  const helm = await ensureHelm(making);
  if (E.isLeft(helm) && isNode) return skip(helm.left);
  if (E.isLeft(helm)) process.stdout.write(`skipped: the tests of the charts: ${helm.left}\n`);
  const folder = mkdtempSync(join(tmpdir(), 'krt-cluster-'));
  let tooLong: NodeJS.Timeout | undefined;
  try {
    const others = isNode ? await makeOthers(making) : {};
    const parts = isNode ? await makeParts(folder, making) : undefined;
    clearTimeout(buildLimit);
    tooLong = setTimeout(
      () => interruption.abort(`--test-limit ${flags['test-limit']} s`),
      Number(flags['test-limit']) * 1000,
    );
    if (interruption.signal.aborted) return 130;
    if (parts !== undefined && E.isLeft(parts)) return skip(parts.left);
    const { passing, failing } = await (parts === undefined
      ? testApiLevel(binaries.right, folder)
      : testNodeLevel(binaries.right, parts.right, others, folder));
    const { aborted, reason } = interruption.signal;
    if (aborted) process.stdout.write(`FAILED: ended before all tests were over: ${String(reason)}\n`);
    process.stdout.write(`cluster: ${passing} passing, ${failing + (aborted ? 1 : 0)} failing\n`);
    return failing === 0 && !aborted ? 0 : 1;
  } finally {
    clearTimeout(tooLong);
    rmSync(folder, { recursive: true, force: true });
  }
};

if (flags.help) process.stdout.write(USAGE);
else {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interruption.abort(signal));
  main().then(
    (code) => process.exit(code),
    (error: unknown) => {
      process.stderr.write(`test:cluster: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exit(1);
    },
  );
}

/**
 * `npm run demo`: the usage guide, section by section, on a control plane of its own in a temporary folder.
 *
 * Exit code 0 only if every section did what the guide says; 1 otherwise; 130 and 143 after Ctrl-C and SIGTERM, with
 * everything stopped and removed all the same. Flags: `--no-kubectl` makes the guide's kubectl steps by API requests.
 */
import { setMaxListeners } from 'node:events';
import { parseArgs } from 'node:util';

import { version } from '../model/version.js';
import { quoted } from './call.js';
import { openKubernetes } from './kubernetes.js';
import { type Narrator, narrator, type SectionResult } from './narrator.js';
import { openScene, type Scene, type Section } from './scene.js';
import { artifacts } from './sections/artifacts.js';
import { cancellation } from './sections/cancellation.js';
import { cli } from './sections/cli.js';
import { createARun } from './sections/create-a-run.js';
import { createARuntime } from './sections/create-a-runtime.js';
import { environmentVariables } from './sections/environment-variables.js';
import { logs } from './sections/logs.js';
import { outputs } from './sections/outputs.js';
import { sourceAndEntrypoint } from './sections/source-and-entrypoint.js';
import { timeoutsAndRetries } from './sections/timeouts-and-retries.js';
import { openStage, type Stage } from './stage.js';
import { witness } from './witness.js';

/** In the guide's order. */
const SECTIONS: ReadonlyArray<Section> = [
  createARuntime,
  createARun,
  environmentVariables,
  sourceAndEntrypoint,
  outputs,
  artifacts,
  cancellation,
  timeoutsAndRetries,
  logs,
  cli,
];

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Never resolves; rejects when the signal is given. */
const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const tell = (): void => reject(new Error('interrupted'));
    if (signal.aborted) tell();
    else signal.addEventListener('abort', tell, { once: true });
  });

/** Plays one section under its heading; what goes wrong in it is said, and the next one follows. */
const perform = async (
  say: Narrator,
  number: number,
  title: string,
  play: () => Promise<void>,
  signal: AbortSignal,
): Promise<SectionResult> => {
  say.heading(number, title);
  const startedMs = performance.now();
  try {
    await Promise.race([play(), aborted(signal)]);
  } catch (error) {
    if (signal.aborted) throw error;
    say.trouble(messageOf(error));
  }
  return { title, ...say.verdict(), ms: performance.now() - startedMs };
};

const start = async (say: Narrator, stage: Stage): Promise<void> => {
  const args = ['up', '--data-dir', stage.dataDir, '--detach', '--no-runtimes'];
  const up = await stage.krt(args);
  say.command(`krt ${args.map(quoted).join(' ')}`, up.output, up.ms);
  say.check('krt up exits 0 when the API answers', up.code === 0, up.code);
  if (up.code !== 0) throw new Error('without a control plane there is nothing to show');
};

const stop = async (say: Narrator, stage: Stage): Promise<void> => {
  const down = await stage.down();
  say.command(`krt down --data-dir ${stage.dataDir}`, down.output, down.ms);
  say.check('krt down exits 0', down.code === 0, down.code);
  const left = stage.leftovers();
  say.check('no process is left', left.length === 0, left);
};

const tour = async (say: Narrator, stage: Stage, signal: AbortSignal, wantsKubectl: boolean) => {
  const results: SectionResult[] = [];
  const play = async (title: string, act: () => Promise<void>): Promise<SectionResult> => {
    const result = await perform(say, results.length + 1, title, act, signal);
    results.push(result);
    return result;
  };
  const started = await play('A control plane', () => start(say, stage));
  if (started.verdict === 'Failed') return results;

  const client = await stage.client();
  const watching = witness(client, 'default');
  signal.addEventListener('abort', watching.close);
  try {
    const kubernetes = await openKubernetes(stage, client, wantsKubectl);
    say.note(`The guide's kubectl steps are made by ${kubernetes.who}.`);
    say.note('Every krt and kubectl command below is also given --kubeconfig; it is left out of the text.');
    const scene: Scene = openScene(say, stage, client, kubernetes, watching);
    for (const section of SECTIONS)
      await play(section.title, async () => {
        say.note(section.says);
        await section.play(scene);
      });
  } finally {
    watching.close();
    client.close();
  }
  await play('The end', () => stop(say, stage));
  return results;
};

const main = async (): Promise<number> => {
  const { values } = parseArgs({ options: { 'no-kubectl': { type: 'boolean', default: false } } });
  const { stdout, env } = process;
  const say = narrator({
    write: (text) => void stdout.write(text),
    color: stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
  });
  const startedMs = performance.now();
  const interrupted = new AbortController();
  // Every command and every section listens.
  setMaxListeners(0, interrupted.signal);
  let signalCode = 0;
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)
    process.on(name, () => {
      signalCode ||= code;
      interrupted.abort();
    });

  const stage = openStage(interrupted.signal);
  say.line(say.paint('bold', 'kruntimes: the usage guide on this machine'));
  say.line(`kruntimes ${version}, node ${process.version}, ${process.platform} ${process.arch}`);
  say.line(`Times are taken here, by the monotonic clock. Everything happens in ${stage.folder}`);
  try {
    const results = await tour(say, stage, interrupted.signal, !values['no-kubectl']);
    say.summary(results, performance.now() - startedMs);
    return results.every(({ verdict }) => verdict !== 'Failed') ? 0 : 1;
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    say.line();
    say.line('interrupted; stopping the control plane');
    await stage.down();
    return signalCode;
  } finally {
    stage.clear();
  }
};

const code = await main();
// Not exitCode alone: after an interruption abandoned steps may still hold timers. And only when all is written.
process.stdout.write('', () => process.exit(code));

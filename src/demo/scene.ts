/** What a section of the demo has at hand. Every step is shown with what it printed and how long it took. */
import type { KubeClient } from '../io/kube/client.js';
import { type Ended, quoted } from './call.js';
import { type Following, following } from './following.js';
import type { Done, Kubernetes } from './kubernetes.js';
import type { Narrator } from './narrator.js';
import type { RunOptions, Stage } from './stage.js';
import type { FinishedRun, Witness } from './witness.js';

export type Scene = Readonly<{
  narrator: Narrator;
  stage: Stage;
  client: KubeClient;
  witness: Witness;
  check: Narrator['check'];
  /** Shows and applies a manifest of the guide. */
  apply: (file: string) => Promise<Done>;
  /** The guide's `kubectl patch run NAME --type merge -p PATCH`. */
  patchRun: (name: string, patch: unknown) => Promise<Done>;
  /** A krt command, on the demo's cluster. */
  krt: (args: ReadonlyArray<string>) => Promise<Ended>;
  /** The same, while the demo goes on; it is shown when it ends. */
  follow: (args: ReadonlyArray<string>) => Following;
  /** Waits for the end of a Run and says how long it took as a watching client saw it. */
  finished: (name: string) => Promise<FinishedRun>;
}>;

/** One section of the guide. `says` is what the guide promises, in its words. */
export type Section = Readonly<{
  title: string;
  says: string;
  play: (scene: Scene) => Promise<void>;
}>;

export const openScene = (
  narrator: Narrator,
  stage: Stage,
  client: KubeClient,
  kubernetes: Kubernetes,
  witness: Witness,
): Scene => {
  const show = (done: Done): Done => {
    narrator.command(done.typed, done.ended.output, done.ended.ms);
    return done;
  };
  const krt = async (args: ReadonlyArray<string>, options?: RunOptions): Promise<Ended> => {
    const ended = await stage.krt(['--kubeconfig', stage.kubeconfig, ...args], options);
    show({ typed: `krt ${args.map(quoted).join(' ')}`, ended });
    return ended;
  };
  return {
    narrator,
    stage,
    client,
    witness,
    check: narrator.check,
    apply: async (file) => {
      narrator.file(file, kubernetes.manifest(file));
      return show(await kubernetes.apply(file));
    },
    patchRun: async (name, patch) => show(await kubernetes.patchRun(name, patch)),
    krt,
    follow: (args) => following((onLine) => krt(args, { onLine })),
    finished: async (name) => {
      const finished = await witness.finished(name);
      const { phase, attempt, assignedPod } = finished.status;
      narrator.fact(`Run ${name}: ${phase}, attempt ${attempt}, pod ${assignedPod}`, finished.tookMs);
      return finished;
    },
  };
};

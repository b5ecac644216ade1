/** `krt runtime describe` */
import * as E from 'fp-ts/lib/Either.js';

import { RUNTIME_KEY } from '../../model/names.js';
import { pods, runtimes } from '../../model/resources.js';
import { podCapacity, Runtime, serverPort } from '../../model/runtime.js';
import { Failure, usage } from '../failure.js';
import { globalFlags } from '../global-flags.js';
import { type Input, namesOf, textFlag } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import { formatAge } from '../output/age.js';
import { tableCells } from '../output/print.js';
import { namedValues, section } from '../output/sections.js';
import { conditionsSection } from '../resource/conditions.js';
import { eventsSection } from '../resource/events.js';
import { failFor, settle } from '../resource/get.js';

export type DescribeOptions = Readonly<{ names: ReadonlyArray<string> }>;

/** Errors: Usage. */
export const parse = (input: Input): DescribeOptions => {
  if (textFlag(input, 'output') !== undefined)
    throw usage('-o does not go with krt runtime describe, which is for people', 'krt runtime get takes -o');
  return { names: namesOf(input, 'runtime') };
};

const readRuntime = (object: unknown, name: string): Runtime => {
  const decoded = Runtime.decode(object);
  if (E.isRight(decoded)) return decoded.right;
  throw new Failure('Error', `runtime ${name} cannot be understood`, {
    hint: 'is this krt older than the cluster? `krt runtime get -o yaml` shows the object as it is',
  });
};

const amounts = (record: Readonly<Record<string, number>> | undefined): string =>
  Object.entries(record ?? {})
    .map(([name, amount]) => `${name}=${amount}`)
    .join(', ');

const used = ({ status }: Runtime): string =>
  Object.entries(status?.capacity ?? {})
    .map(([name, total]) => `${status?.allocated?.[name] ?? 0} of ${total} ${name}`)
    .join(', ');

/** All about a Runtime but its pods and Events. */
export const describeRuntime = (runtime: Runtime, nowMs: number): string => {
  const { metadata, spec, status } = runtime;
  const store = spec.artifactStore?.driver;
  return [
    namedValues([
      ['Name', metadata.name],
      ['Namespace', metadata.namespace],
      ['UID', metadata.uid],
      [
        'Created',
        `${metadata.creationTimestamp} (${formatAge(nowMs - Date.parse(metadata.creationTimestamp))} ago)`,
      ],
      ['Image', spec.template.spec.containers[0]?.image],
      ['Port', String(serverPort(spec))],
      [
        'Replicas',
        `${spec.replicas ?? 1} wanted, ${status?.replicas ?? 0} there, ${status?.readyReplicas ?? 0} ready`,
      ],
      ['Each pod holds', amounts(podCapacity(spec))],
      ['In use', used(runtime)],
      ['Artifact store', typeof store === 'string' ? store : 'none'],
    ]),
    conditionsSection(status?.conditions, nowMs),
  ].join('');
};

const podsSection = async ({ api, namespace }: OpenCluster, name: string): Promise<string> => {
  try {
    const table = await api.table(pods, { namespace, labelSelector: `${RUNTIME_KEY}=${name}` });
    const { header, rows } = tableCells(table.columns, table.rows, { wide: false, withNamespace: false });
    return section('Pods', header, rows);
  } catch (error) {
    if (error instanceof Failure) return `\nPods: ${error.message}\n`;
    throw error;
  }
};

export const execute = async (
  { names }: DescribeOptions,
  deps: OpenCluster & Pick<Krt, 'terminal' | 'nowMs'>,
): Promise<number> => {
  const { api, namespace, terminal, nowMs } = deps;
  const { found, missing } = await settle(
    names.map(async (name) => {
      const runtime = readRuntime(await api.get(runtimes, { namespace, name }), name);
      const [ofPods, ofEvents] = await Promise.all([
        podsSection(deps, name),
        eventsSection(api, { namespace, name, uid: runtime.metadata.uid }, nowMs()),
      ]);
      return describeRuntime(runtime, nowMs()) + ofPods + ofEvents;
    }),
  );
  terminal.out(found.join('\n\n'));
  return failFor(missing, terminal);
};

export const describe: Verb = async (input, krt) => {
  const options = parse(input);
  return execute(options, { ...krt, ...(await krt.openCluster(globalFlags(input))) });
};

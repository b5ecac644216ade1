/** `krt status` */
import { type ControlPlaneStatus, controlPlaneStatus } from '../../embedded/control-plane/index.js';
import { Failure } from '../failure.js';
import { type Input, objectFormatFlag } from '../input.js';
import type { Krt, Verb } from '../krt.js';
import { formatAge } from '../output/age.js';
import type { Format } from '../output/format.js';
import { checkFormat, formatObject } from '../output/print.js';
import { cell, table } from '../output/table.js';
import { dataDirFlag, dataDirHint } from './data-dir.js';

export type StatusOptions = Readonly<{ dataDir: string; format: Format }>;

/** Errors: Usage. */
export const parse = (input: Input): StatusOptions => ({
  dataDir: dataDirFlag(input),
  format: objectFormatFlag(input),
});

export type StatusDeps = Pick<Krt, 'terminal' | 'nowMs'> & Readonly<{ ask: typeof controlPlaneStatus }>;

const text = (status: ControlPlaneStatus, nowMs: number): string => {
  const { state, dataDir, url, kubeconfig, since, version, components } = status;
  const age = since === undefined ? '' : ` for ${formatAge(nowMs - Date.parse(since))}`;
  const head = `control plane on ${dataDir}: ${state}${age}\n`;
  if (state === 'stopped') return `${head}start it with: krt up${dataDirHint(dataDir)}\n`;
  return [
    head,
    table(undefined, [
      ['API', cell(url)],
      ['kubeconfig', kubeconfig],
      ['version', cell(version)],
    ]),
    components.length === 0
      ? 'it does not answer yet, or no more\n'
      : table(
          ['COMPONENT', 'HEALTHY', 'RESTARTS', 'PID'],
          components.map(({ name, healthy, restarts, pid }) => [
            name,
            healthy ? 'yes' : 'no',
            String(restarts),
            cell(pid),
          ]),
        ),
  ].join('');
};

/** 0 running, 1 not well, 4 not there. */
export const execute = async (
  { dataDir, format }: StatusOptions,
  { terminal, nowMs, ask }: StatusDeps,
): Promise<number> => {
  const status = await ask(dataDir).catch((error: unknown) => {
    throw new Failure('Error', error instanceof Error ? error.message : String(error), {
      hint: `krt down${dataDirHint(dataDir)} stops what is left of it`,
      cause: error,
    });
  });
  terminal.out(format.kind === 'table' ? text(status, nowMs()) : await formatObject(format, status));
  return status.state === 'running' ? 0 : status.state === 'failed' ? 1 : 4;
};

export const status: Verb = async (input, { terminal, nowMs }) => {
  const options = parse(input);
  await checkFormat(options.format);
  return execute(options, { terminal, nowMs, ask: controlPlaneStatus });
};

/** Names of signals, as people know them. */
import { constants } from 'node:os';

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
);

/** ` (SIGKILL)` for 9, '' for a number without a name. */
export const signalName = (signal: number): string => {
  const name = NAMES.get(signal);
  return name === undefined ? '' : ` (${name})`;
};

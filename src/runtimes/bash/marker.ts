/** The signs by which the processes of one server, and of one execution of it, are known from all others. */
import { randomInt } from 'node:crypto';

import { ProcessTable } from '../../io/processes/process-table.js';
import { leastTreeLimit, type TreeSigns } from '../../io/processes/tree.js';

/** The environment variable every process of an execution was started with. */
export const treeVariable = 'KRUNTIME_PROCESS_TREE';

export type TreeMark = Readonly<{
  /** Unique on the machine. */
  name: string;
  env: Readonly<Record<string, string>>;
  signs: Omit<TreeSigns, 'leader'>;
}>;

/** Bits of the realtime limit that count trees; the ones above, below those of the least limit, tell servers apart. */
const treeBits = 20;

export class TreeMarker {
  /** Unique to this server among those on the machine. */
  readonly server = randomInt(1, 2 ** 31);
  /** In which all trees of this server are looked for. */
  readonly processes = new ProcessTable(treeVariable);
  #trees = 0;

  next(): TreeMark {
    this.#trees += 1;
    const tree = this.#trees;
    const value = `${this.server}.${tree}`;
    return {
      name: value,
      env: { [treeVariable]: value },
      signs: {
        environEntry: `${treeVariable}=${value}`,
        realtimeLimit: this.leastLimit + (tree % 2 ** treeBits),
      },
    };
  }

  /** Every tree's limit, shifted right by `treeBits`, equals this one so shifted. */
  get leastLimit(): number {
    return leastTreeLimit + this.server * 2 ** treeBits;
  }
}

/** How far to shift a limit to get the server's part of it. */
export const serverShift = treeBits;

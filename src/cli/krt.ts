/** What a command is handed: everything outside it, as functions. */

import type { Api } from './api/api.js';
import type { GlobalFlags } from './global-flags.js';
import type { Input } from './input.js';

/** Where a command writes. Data goes to `out`, all else to `err`. */
export type Terminal = Readonly<{
  out: (text: string | Uint8Array) => void;
  err: (text: string | Uint8Array) => void;
  /** Whether a person may be looking, so that a line can be rewritten and coloured. */
  outIsTerminal: boolean;
  errIsTerminal: boolean;
  color: boolean;
  /** Cells in a line of the terminal behind `err`. */
  columns: () => number;
}>;

/** The cluster a command talks to. */
export type OpenCluster = Readonly<{
  api: Api;
  /** `-n`, else the context's namespace. */
  namespace: string;
}>;

/** The world of one call of krt. */
export type Krt = Readonly<{
  terminal: Terminal;
  env: Readonly<Record<string, string | undefined>>;
  nowMs: () => number;
  /** Letters and digits for the end of a generated name. */
  randomSuffix: () => string;
  /** The bytes of a file, or of stdin for `-`. Errors: Failure. */
  readSource: (path: string) => Promise<Uint8Array>;
  /** Chooses and opens the cluster; nothing is sent yet. Errors: Failure of kind NoAccess. */
  openCluster: (flags: GlobalFlags) => Promise<OpenCluster>;
  /** Calls back at each Ctrl-C or SIGTERM, instead of the process ending; returns the way to stop that. */
  onInterrupt: (listener: () => void) => () => void;
}>;

/** One verb: parses what was typed, does it, and says with which code krt exits. */
export type Verb = (input: Input, krt: Krt) => Promise<number>;

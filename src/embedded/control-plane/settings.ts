/** What a control plane keeps from start to start. */
import { readFileSync } from 'node:fs';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { writeFileAtomically } from '../kubelet/files.js';

export const Settings = t.partial({
  /** Port of the API server, so that kubeconfigs stay valid. */
  port: t.number,
  /** Port on which the operator takes runtimed's sessions, so that a restart changes no Pod. */
  sessionsPort: t.number,
  /** Whether the bash Runtime was put already; one that the user deleted stays deleted. */
  hasRuntimes: t.boolean,
});
export type Settings = Readonly<t.TypeOf<typeof Settings>>;

/** Settings of an earlier start; none when there was none or the file is damaged. */
export const readSettings = (path: string): Settings => {
  try {
    const decoded = Settings.decode(JSON.parse(readFileSync(path, 'utf8')));
    return E.isRight(decoded) ? decoded.right : {};
  } catch {
    return {};
  }
};

export const writeSettings = (path: string, settings: Settings): void =>
  writeFileAtomically(path, `${JSON.stringify(settings, undefined, 2)}\n`);

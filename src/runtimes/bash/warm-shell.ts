/**
 * One shell started ahead. It waits inside its own start-up: BASH_ENV names a pipe, which bash reads to its end
 * before it opens its script. What is written there changes folder, environment and arguments; then bash goes on to
 * read the script itself, by name, at its top level. So a script can not tell: no `source`, no `-c`, no copy.
 *
 * When the server dies the pipe ends empty, and the shell runs the guard script of the folder it waits in: `exit`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

import type { FifoStock } from '../../io/processes/fifos.js';
import { forkMark } from '../../io/processes/tree.js';
import type { Launched } from './launch.js';
import type { TreeMark, TreeMarker } from './marker.js';

/** A pipe takes this much at once when it is empty. */
const pipeBytes = 65_536;

export type WarmShellSettings = Readonly<{
  bash: string;
  /** Folder with the guard script under the name `scriptName`. */
  guardFolder: string;
  scriptName: string;
  env: NodeJS.ProcessEnv;
}>;

export class WarmShell {
  readonly child: ChildProcess;
  readonly mark: TreeMark;
  readonly #pid: number;
  readonly #stdoutFd: number;
  readonly #stderrFd: number;
  readonly #preludeFd: number;

  /** @throws Error when the process can not be made. */
  constructor(settings: WarmShellSettings, fifos: FifoStock, marker: TreeMarker) {
    this.mark = marker.next();
    const out = fifos.open();
    const err = fifos.open();
    const text = fifos.open({ nonBlockingWrite: true });
    this.child = spawn(settings.bash, [settings.scriptName], {
      argv0: 'bash',
      cwd: settings.guardFolder,
      env: { ...settings.env, ...this.mark.env, BASH_ENV: '/dev/fd/3' },
      stdio: ['ignore', out.writeFd, err.writeFd, text.readFd],
      detached: true,
    });
    for (const fd of [out.writeFd, err.writeFd, text.readFd]) closeSync(fd);
    this.#stdoutFd = out.readFd;
    this.#stderrFd = err.readFd;
    this.#preludeFd = text.writeFd;
    const { pid } = this.child;
    if (pid === undefined) {
      this.child.on('error', () => undefined);
      for (const fd of [this.#stdoutFd, this.#stderrFd, this.#preludeFd]) closeSync(fd);
      throw new Error(`${settings.bash} could not be started: out of processes or file descriptors`);
    }
    this.#pid = pid;
  }

  /** Gives the shell its work; to be called once. */
  launch(prelude: string): Launched {
    const since = forkMark();
    this.#write(Buffer.from(prelude));
    return {
      child: this.child,
      tree: { signs: { leader: this.#pid, ...this.mark.signs }, since },
      stdoutFd: this.#stdoutFd,
      stderrFd: this.#stderrFd,
    };
  }

  /** Lets an unused shell go. */
  dismiss(): void {
    this.child.kill('SIGKILL');
    for (const fd of [this.#stdoutFd, this.#stderrFd, this.#preludeFd]) closeSync(fd);
  }

  #write(text: Buffer): void {
    try {
      const written = writeSync(this.#preludeFd, text, 0, Math.min(text.length, pipeBytes));
      if (written === text.length) {
        closeSync(this.#preludeFd);
        return;
      }
      const rest = new Socket({ fd: this.#preludeFd, readable: false, writable: true });
      // The shell was killed while it read: its exit tells.
      rest.on('error', () => undefined).end(text.subarray(written));
    } catch {
      // EPIPE: likewise.
      closeSync(this.#preludeFd);
    }
  }
}

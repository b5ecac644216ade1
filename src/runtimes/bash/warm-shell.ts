/**
 * One shell started ahead. It waits inside its own start-up: the file in BASH_ENV, which bash reads before it opens
 * its script, waits for a byte and then sources what the server has written: a change of folder, environment and
 * arguments. Then bash goes on to read the script itself, by name, at its top level. So a script can not tell: no
 * `source`, no `-c`, no copy.
 *
 * What is written may be secret. It is in a file without a name, in memory where the system has a place for that.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import type { FifoStock } from '../../io/processes/fifos.js';
import type { ProcessTable } from '../../io/processes/process-table.js';
import { forkMark } from '../../io/processes/tree.js';
import type { Launched } from './launch.js';
import type { TreeMark, TreeMarker } from './marker.js';

export type WarmShellSettings = Readonly<{
  bash: string;
  /** Private folder the shells wait in. Its file `scriptName` does nothing, should one ever be read by mistake. */
  guardFolder: string;
  /** Path of the file with `waitText`. */
  waitFile: string;
  scriptName: string;
  /** With SHELL, which the prelude takes out of the environment again where it was not in the server's. */
  env: NodeJS.ProcessEnv;
}>;

/** A new empty file, 0600, that nobody else can find. */
const namelessFile = (folder: string, name: string): number => {
  const path = join(folder, name);
  const fd = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return fd;
};

export class WarmShell {
  readonly child: ChildProcess;
  readonly mark: TreeMark;
  readonly #pid: number;
  readonly #stdoutFd: number;
  readonly #stderrFd: number;
  readonly #wakeFd: number;
  readonly #workFd: number;
  readonly #processes: ProcessTable;

  /** @throws Error when the process can not be made; nothing stays open then. */
  constructor(settings: WarmShellSettings, fifos: FifoStock, marker: TreeMarker) {
    const { bash, guardFolder, scriptName, waitFile, env } = settings;
    this.mark = marker.next();
    this.#processes = marker.processes;
    const theirs: number[] = [];
    const ours: number[] = [];
    const pipe = (readBlocks: boolean): readonly [number, number] => {
      const { readFd, writeFd } = fifos.open({ readBlocks });
      const [their, our] = readBlocks ? [readFd, writeFd] : [writeFd, readFd];
      theirs.push(their);
      ours.push(our);
      return [their, our];
    };
    try {
      const [out, ourOut] = pipe(false);
      const [err, ourErr] = pipe(false);
      const [wake, ourWake] = pipe(true);
      const work = namelessFile(guardFolder, this.mark.name);
      ours.push(work);
      this.child = spawn(bash, [scriptName], {
        argv0: 'bash',
        cwd: guardFolder,
        env: { ...env, ...this.mark.env, BASH_ENV: waitFile },
        stdio: ['ignore', out, err, wake, work],
        detached: true,
      });
      this.child.on('error', () => undefined);
      if (this.child.pid === undefined)
        throw new Error(`${bash} could not be started: out of processes or file descriptors`);
      this.#pid = this.child.pid;
      this.#processes.started(this.#pid, this.mark.signs.environEntry);
      this.#stdoutFd = ourOut;
      this.#stderrFd = ourErr;
      this.#wakeFd = ourWake;
      this.#workFd = work;
    } catch (error) {
      for (const fd of ours) closeSync(fd);
      throw error;
    } finally {
      for (const fd of theirs) closeSync(fd);
    }
  }

  /**
   * Gives the shell its work; to be called once.
   *
   * @throws Error when there is no room to write it down: then the shell has begun nothing and is gone.
   */
  launch(prelude: string): Launched {
    const since = forkMark();
    const text = Buffer.from(prelude);
    try {
      for (let at = 0; at < text.length; ) at += writeSync(this.#workFd, text, at, text.length - at, at);
    } catch (error) {
      this.dismiss();
      throw error;
    }
    closeSync(this.#workFd);
    try {
      writeSync(this.#wakeFd, '\n');
    } catch {
      // EPIPE: the shell was killed just now; its exit tells.
    }
    closeSync(this.#wakeFd);
    return {
      child: this.child,
      tree: { signs: { leader: this.#pid, ...this.mark.signs }, since, processes: this.#processes },
      stdoutFd: this.#stdoutFd,
      stderrFd: this.#stderrFd,
    };
  }

  /** Lets an unused shell go. */
  dismiss(): void {
    this.child.kill('SIGKILL');
    for (const fd of [this.#stdoutFd, this.#stderrFd, this.#wakeFd, this.#workFd]) closeSync(fd);
  }
}

/** A real sshd on loopback for the user who runs the tests, with keys and settings of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';

import { anyFreePort } from '../../../src/embedded/control-plane/free-port.js';

/** Where it is, on the PATH or not: that of users often leaves these folders out. */
const SBIN = ['/usr/sbin', '/usr/local/sbin', '/sbin', '/usr/bin'];
/** What Debian's sshd wants to be there when root starts it; its service makes it anew after each boot. */
const RUN_SSHD = '/run/sshd';

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** Its absolute path, without which it does not start. */
const findSshd = (path = process.env.PATH ?? ''): string | undefined =>
  [...path.split(delimiter), ...SBIN]
    .filter((folder) => folder.startsWith('/'))
    .map((folder) => join(folder, 'sshd'))
    .find(isProgram);

/** Why there can be no sshd here, or undefined. */
export const whyNoSshd = (): string | undefined => {
  if (findSshd() === undefined) return 'sshd is not installed (Debian: openssh-server)';
  try {
    if (process.getuid?.() === 0 && !existsSync(RUN_SSHD)) mkdirSync(RUN_SSHD, { mode: 0o755 });
  } catch {
    return `${RUN_SSHD} is not there, which sshd needs when root starts it, and cannot be made`;
  }
  return undefined;
};

const keygen = (path: string): void => {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', path]);
};

export class SshServer {
  private constructor(
    private readonly process: ChildProcess,
    readonly folder: string,
    readonly port: number,
  ) {}

  /** `setting` lines go first, so that they win. */
  static async start(folder: string, ...settings: ReadonlyArray<string>): Promise<SshServer> {
    mkdirSync(folder);
    for (const name of ['host', 'client', 'other']) keygen(join(folder, name));
    writeFileSync(join(folder, 'authorized_keys'), readFileSync(join(folder, 'client.pub')));
    const port = await anyFreePort();
    const config = [
      ...settings,
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${join(folder, 'host')}`,
      `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
      `PidFile ${join(folder, 'pid')}`,
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'AcceptEnv GIT_PROTOCOL',
    ];
    writeFileSync(join(folder, 'sshd_config'), `${config.join('\n')}\n`);
    const child = spawn(findSshd() ?? 'sshd', ['-D', '-e', '-f', join(folder, 'sshd_config')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await new Promise<void>((resolve, reject) => {
      const said: string[] = [];
      child.on('exit', () => reject(new Error(`sshd ended: ${said.join('; ')}`)));
      createInterface(child.stderr).on('line', (line) => {
        said.push(line);
        if (line.startsWith('Server listening')) resolve();
      });
    });
    return new SshServer(child, folder, port);
  }

  /** `localhost:port`. */
  get host(): string {
    return `localhost:${this.port}`;
  }

  url(path: string): string {
    return `ssh://${userInfo().username}@${this.host}${path}`;
  }

  /** The private key of that name. */
  key(name: 'client' | 'other'): string {
    return readFileSync(join(this.folder, name), 'utf8');
  }

  /** A line of known_hosts with the host's key, or with another one. */
  knownHosts(name: 'host' | 'other' = 'host'): string {
    const [type, key] = readFileSync(join(this.folder, `${name}.pub`), 'utf8').split(' ');
    return `[localhost]:${this.port} ${type} ${key}\n`;
  }

  async stop(): Promise<void> {
    const gone = once(this.process, 'exit');
    this.process.kill();
    await gone;
  }
}

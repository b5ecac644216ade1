/**
 * The server's last will: a bash that does nothing until the server is gone, however it went, and then kills every
 * process of every execution of it. 0.3 MB, one per server, nothing per execution.
 *
 * It knows them by what they inherited (see TreeSigns), so setsid, double forks and `env -i` hide nobody. It needs
 * /proc; elsewhere it only removes the server's folder.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';

import { serverShift, treeVariable } from './marker.js';

export type GuardianSettings = Readonly<{
  bash: string;
  env: NodeJS.ProcessEnv;
  /** See TreeMarker. */
  server: number;
  leastLimit: number;
  /** The server's private folder, removed at the end. */
  folder: string;
}>;

const will = `
trap '' HUP INT TERM
read -r _ <&3
for ((look = 0; look < 200; look++)); do
  found=
  for proc in /proc/[0-9]*; do
    pid=\${proc#/proc/}
    [[ $pid == "$$" ]] && continue
    mine=
    mapfile -d '' -t environ 2>/dev/null <"$proc/environ"
    for entry in "\${environ[@]}"; do
      [[ $entry == "$variable=$server."* ]] && { mine=1; break; }
    done
    if [[ -z $mine ]]; then
      while read -r name kind limit _ hard _; do
        [[ "$name $kind $limit" == 'Max realtime timeout' && $hard =~ ^[0-9]+$ ]] || continue
        (( hard >> shift_bits == least_limit >> shift_bits )) && mine=1
      done 2>/dev/null <"$proc/limits"
    fi
    [[ -n $mine ]] || continue
    read -r stat 2>/dev/null <"$proc/stat" || continue
    [[ \${stat##*) } == [ZX]* ]] && continue
    kill -KILL "$pid" 2>/dev/null && found=1
  done 2>/dev/null
  [[ -z $found ]] && break
done
rm -rf -- "$folder"
`;

/**
 * Starts it. It does its work when this process is gone, or when the function returned is called. It carries no sign of the pod: whoever sweeps the pod's
 * processes must not end it before it has removed the folder.
 */
export const startGuardian = ({ bash, env, server, leastLimit, folder }: GuardianSettings): (() => void) => {
  const file = join(folder, 'guardian');
  writeFileSync(file, will, { mode: 0o600 });
  const guardian = spawn(bash, [file], {
    env: {
      PATH: env.PATH,
      variable: treeVariable,
      server: String(server),
      least_limit: String(leastLimit),
      shift_bits: String(serverShift),
      folder,
    },
    cwd: '/',
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    detached: true,
  });
  guardian.on('error', () => undefined);
  guardian.unref();
  const [, , , line] = guardian.stdio;
  if (line instanceof Socket) line.on('error', () => undefined).unref();
  return () => line?.destroy();
};

/**
 * What stands on one machine for a pod's own network and file system?
 *
 * There are no namespaces here, so two things are rewritten on the way into a process (ARCHITECTURE.md, "A pod's
 * loopback on one machine"): addresses in `KRUNTIME_*_ADDRESS` become unix sockets in the pod's folder, and a mount
 * path at the start of a value becomes the folder that stands for the volume.
 */
import { join } from 'node:path';

/** A mount path and the folder that stands for it. */
export type Mount = Readonly<{ mountPath: string; folder: string }>;

/** Folder of a pod's sockets, and how a port is called in it. */
export const socketOfPort = (sockets: string, port: number): string => join(sockets, `${port}.sock`);

const ADDRESS_NAME = /^KRUNTIME_[A-Z0-9_]*ADDRESS$/;
const IP_AND_PORT = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):(\d{1,5})$/;

/** The port of a variable that is to become a socket, if it is one. */
export const loopbackPort = (name: string, value: string): number | undefined => {
  if (!ADDRESS_NAME.test(name)) return undefined;
  const port = Number(IP_AND_PORT.exec(value)?.[1] ?? Number.NaN);
  return port >= 1 && port <= 65_535 ? port : undefined;
};

/** Replaces a mount path at the start of `value`, at a path boundary; the longest one wins. */
export const rewriteMountPath = (value: string, mounts: ReadonlyArray<Mount>): string => {
  let best: Mount | undefined;
  for (const mount of mounts) {
    const path = mount.mountPath.replace(/\/+$/, '');
    if (path === '' || (value !== path && !value.startsWith(`${path}/`))) continue;
    if (best === undefined || path.length > best.mountPath.replace(/\/+$/, '').length) best = mount;
  }
  if (best === undefined) return value;
  return best.folder + value.slice(best.mountPath.replace(/\/+$/, '').length);
};

/** One variable as the process sees it. */
export const rewriteVariable = (
  name: string,
  value: string,
  sockets: string,
  mounts: ReadonlyArray<Mount>,
): string => {
  const port = loopbackPort(name, value);
  return port === undefined ? rewriteMountPath(value, mounts) : `unix:${socketOfPort(sockets, port)}`;
};

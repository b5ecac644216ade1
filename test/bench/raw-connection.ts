/** Answers of a local control plane's API server as bytes on a connection of their own, to be read or left unread. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';

import * as yaml from 'js-yaml';

type Kubeconfig = Readonly<{
  clusters: ReadonlyArray<{ cluster: { server: string; 'certificate-authority-data': string } }>;
  users: ReadonlyArray<{ user: { token: string } }>;
}>;

/** Asks for a path with its query, with the credentials of the kubeconfig; `headers`: further lines, each with its end. */
export const rawConnections = (
  kubeconfig: string,
): ((path: string, headers?: string) => Promise<TLSSocket>) => {
  const config = yaml.load(readFileSync(kubeconfig, 'utf8')) as Kubeconfig;
  const [cluster, user] = [config.clusters[0]?.cluster, config.users[0]?.user];
  const { hostname, port } = new URL(cluster?.server ?? '');
  return async (path, headers = '') => {
    const socket = connect({
      host: hostname,
      port: Number(port),
      ca: Buffer.from(cluster?.['certificate-authority-data'] ?? '', 'base64'),
      servername: 'localhost',
    });
    await once(socket, 'secureConnect');
    socket.on('error', () => undefined);
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${user?.token}\r\n${headers}\r\n`,
    );
    return socket;
  };
};

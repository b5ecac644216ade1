import { lookup } from 'node:dns/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node:tls';

// Whether the certificate is trusted is for pods to say, who are told its CA; here it need only be for this name.
const [host, port] = process.env.SESSIONS.split(':');
const namesOf = () =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), servername: host, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    socket.once('secureConnect', () => resolve(socket.getPeerCertificate().subjectaltname)).once('error', reject);
    socket.setTimeout(10_000, () => socket.destroy(new Error(`${host}:${port} does not answer`)));
  });
// Where network policies are enforced a new pod is let through when the network has learnt of it.
const untilMs = Date.now() + 30_000;
let names;
while (names === undefined)
  names = await namesOf().catch(async (error) => {
    if (Date.now() > untilMs) throw error;
    await pause(500);
  });
if (!names.includes(`DNS:${host}`)) throw new Error(`the certificate is for ${names}, not for ${host}`);
console.log(`sessions: ${names}`);

if (process.env.HAS_METRICS === 'true') {
  const replicas = await lookup(process.env.METRICS, { all: true });
  const texts = await Promise.all(
    replicas.map(async ({ address, family }) =>
      (await fetch(`http://${family === 6 ? `[${address}]` : address}:8080/metrics`)).text(),
    ),
  );
  const leading = texts.filter((text) => /^kruntimes_leading 1$/m.test(text)).length;
  console.log(`operators: ${replicas.length}, of which ${leading} lead`);
  if (leading !== 1) throw new Error('there must be one that leads');
}
process.exit(0);

/**
 * The other side of the machine's limits, a small node process of its own:
 *
 *   peer.js spawn BASH SCRIPT COUNT WIDTH   runs the script so often, WIDTH at a time → JSON of each one's milliseconds
 *   peer.js http                            answers every request with its body → prints its port, ends with stdin
 *   peer.js grpc                            answers every message of a stream with itself → the same
 *
 * A process of its own, because a fork costs by the memory of the one who forks, and because a round trip has two ends.
 */
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';

const [mode = '', ...args] = process.argv.slice(2);

const spawnMany = async ([bash = 'bash', script = '', count = '1', width = '1']) => {
  const took = [];
  let left = Number(count);
  const lane = async () => {
    while (left > 0) {
      left -= 1;
      const began = performance.now();
      await new Promise((resolve, reject) => {
        spawn(bash, [script], { stdio: ['ignore', 'pipe', 'pipe'] })
          .once('error', reject)
          .once('close', resolve)
          .stdout.resume();
      });
      took.push(performance.now() - began);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: Number(width) }, lane));
  console.log(JSON.stringify({ took, wallMs: performance.now() - began }));
};

const serveHttp = () => {
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
      response.end(body);
    });
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
};

const serveGrpc = async () => {
  const { Server, ServerCredentials } = await import('@grpc/grpc-js');
  const asIs = (bytes) => bytes;
  const server = new Server();
  server.addService(
    {
      echo: {
        path: '/bench.Echo/Echo',
        requestStream: true,
        responseStream: true,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    {
      echo: (call) => {
        call.on('data', (bytes) => call.write(bytes));
        call.on('end', () => call.end());
        call.on('error', () => undefined);
      },
    },
  );
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error;
    console.log(port);
  });
};

if (mode === 'spawn') await spawnMany(args);
else {
  process.stdin.on('end', () => process.exit(0)).resume();
  if (mode === 'http') serveHttp();
  else await serveGrpc();
}

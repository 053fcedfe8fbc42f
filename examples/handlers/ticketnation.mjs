// A handler for TicketNation's webhooks, with nothing but Node:
//
//     TN_WEBHOOK_SECRET=… node examples/handlers/ticketnation.mjs
//
// It listens on port 8080 (PORT) and writes a line into orders.txt (ORDERS) for each paid order.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { appendFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const { TN_WEBHOOK_SECRET: secret, PORT = 8080, ORDERS = 'orders.txt' } = process.env;
if (!secret) throw new Error('set TN_WEBHOOK_SECRET to the secret of the dashboard');

// Events that were handled or are at it. Yours are in a database, and outlive a restart.
const seen = new Set();
await appendFile(ORDERS, ''); // so that it is there, and can be written

// The signature is of the bytes as they came: parsing comes later.
function isGenuine(body, signature) {
  const expected = createHmac('sha256', secret).update(body).digest('hex');
  const [given, right] = [Buffer.from(signature ?? ''), Buffer.from(expected)];
  return given.length === right.length && timingSafeEqual(given, right);
}

async function handle({ id, event, isTest, data }) {
  if (typeof id !== 'string' || typeof event !== 'string' || !data) return 400;
  if (seen.has(id)) return 200; // the same event again: it is done, and thanks for it
  seen.add(id);
  try {
    if (event === 'order.completed' && !isTest) await appendFile(ORDERS, `${data.orderId}\n`);
  } catch (error) {
    seen.delete(id); // TicketNation sends it again
    throw error;
  }
  return 200; // also for types that are not used here, or they would come again
}

async function answer(request) {
  if (request.method !== 'POST') return 405;
  const parts = [];
  let size = 0;
  for await (const part of request) {
    parts.push(part);
    if ((size += part.length) > 1 << 20) return 413;
  }
  const body = Buffer.concat(parts);
  if (!isGenuine(body, request.headers['x-tn-signature'])) return 401;
  try {
    return await handle(JSON.parse(body));
  } catch (error) {
    console.error(error.message);
    return error instanceof SyntaxError ? 400 : 500;
  }
}

const server = createServer(async (request, response) => {
  response.writeHead(await answer(request).catch(() => 500)).end();
});
server.listen(PORT, '127.0.0.1', () => console.log(`listening on port ${server.address().port}`));

// The same work by BullMQ and undici, started by `peers`: enqueue by addBulk, then submit under BullMQ's own limiter.
//
//   node bullmq.js enqueue ROWS REDIS_PORT             prints {"per_second", "cpu_us"}
//   node bullmq.js submit ROWS REDIS_PORT IN_FLIGHT    prints {"per_second", "cpu_ms"}
//
// Submitting signs and verifies as the platform demands; the settings of the fleet say where the platform is. CPU is
// what this process takes per submission between 15 % and 90 % of the work.
const { Queue, Worker } = require('bullmq');
const { Agent, request } = require('undici');
const crypto = require('crypto');
const fs = require('fs');

const [act, rows, port, inFlight] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const settings = process.env;
const connection = { host: '127.0.0.1', port, db: 3, maxRetriesPerRequest: null };
const TARGET = '/v3/marketing/partner/product-coupon/image-generation-tasks';
const BULK = 500;

// A body whose offer hardly ever repeats, as in the catalogs that couponpress is measured with.
function body(number) {
  const threshold = 1000 + Math.floor(Math.random() * 999000);
  return {
    brand_id: '120344',
    task_id: `bull-${act}-${String(number).padStart(8, '0')}`,
    image_generation_type: 'COMBINE_IMAGE',
    combine_image: {
      scope: 'ALL',
      type: 'NORMAL',
      usage_mode: 'SINGLE',
      normal_coupon: { threshold, discount_amount: 1 + Math.floor(Math.random() * threshold) },
      background_color: `#${Math.floor(Math.random() * (1 << 24)).toString(16).padStart(6, '0')}`,
    },
  };
}

async function enqueue(queue) {
  const began = process.hrtime.bigint();
  const before = process.cpuUsage();
  for (let first = 0; first < rows; first += BULK) {
    const count = Math.min(BULK, rows - first);
    await queue.addBulk(Array.from({ length: count }, (_, at) => ({ name: 'submit', data: body(first + at) })));
  }
  const { user, system } = process.cpuUsage(before);
  return { per_second: rows / (Number(process.hrtime.bigint() - began) / 1e9), cpu_us: (user + system) / rows };
}

function submitter() {
  const key = crypto.createPrivateKey(fs.readFileSync(settings.COUPONPRESS_MCH_PRIVATE_KEY_FILE));
  const platform = crypto.createPublicKey(fs.readFileSync(settings.COUPONPRESS_WECHATPAY_PUBLIC_KEY_FILE));
  const authority = settings.COUPONPRESS_CA_FILE;
  const dispatcher = new Agent({ connections: inFlight, connect: authority ? { ca: fs.readFileSync(authority) } : {} });
  return async (job) => {
    const content = JSON.stringify(job.data);
    const timestamp = String(Math.floor(Date.now() / 1000));
    const nonce = crypto.randomBytes(16).toString('hex');
    const message = Buffer.from(`POST\n${TARGET}\n${timestamp}\n${nonce}\n${content}\n`);
    const signature = crypto.sign('sha256', message, key).toString('base64');
    const answer = await request(settings.COUPONPRESS_BASE_URL + TARGET, {
      method: 'POST',
      body: content,
      dispatcher,
      headers: {
        Authorization:
          `WECHATPAY2-SHA256-RSA2048 mchid="${settings.COUPONPRESS_MCHID}",nonce_str="${nonce}",` +
          `timestamp="${timestamp}",serial_no="${settings.COUPONPRESS_MCH_SERIAL_NO}",signature="${signature}"`,
        'Content-Type': 'application/json',
        Accept: 'application/json',
        'User-Agent': 'bullmq',
        'Wechatpay-Serial': settings.COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID,
      },
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${text}`);
    const signed = Buffer.from(
      `${answer.headers['wechatpay-timestamp']}\n${answer.headers['wechatpay-nonce']}\n${text}\n`,
    );
    const theirs = Buffer.from(answer.headers['wechatpay-signature'], 'base64');
    if (!crypto.verify('sha256', signed, platform, theirs)) throw new Error('a signature that is not the platform\'s');
    return JSON.parse(text).task_id;
  };
}

async function submit() {
  const from = Math.floor(rows * 0.15);
  const until = Math.floor(rows * 0.9);
  let done = 0;
  let failed = 0;
  let begin;
  let end;
  const now = () => ({ at: process.hrtime.bigint(), cpu: process.cpuUsage() });
  await new Promise((finish) => {
    const limiter = { max: 500, duration: 1000 };
    const worker = new Worker('submit', submitter(), { connection, concurrency: inFlight, limiter });
    const count = () => {
      done += 1;
      if (done === from) begin = now();
      if (done === until) end = now();
      if (done === rows) finish();
    };
    worker.on('completed', count);
    worker.on('failed', (_, error) => {
      failed += 1;
      if (failed < 4) console.error(error.message);
      count();
    });
  });
  const cpu = end.cpu.user + end.cpu.system - begin.cpu.user - begin.cpu.system;
  const seconds = Number(end.at - begin.at) / 1e9;
  return { per_second: (until - from) / seconds, cpu_ms: cpu / 1000 / (until - from), failed };
}

(async () => {
  const queue = new Queue(act, { connection });
  const told = await enqueue(queue);
  console.log(JSON.stringify(act === 'submit' ? await submit() : told));
  process.exit(0);
})();

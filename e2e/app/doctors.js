// Knows the doctors of each clinic, which are in DynamoDB, and welcomes patients of whom a queue tells.
// Nothing here knows OpenTelemetry: `node --require @opentelemetry/auto-instrumentations-node/register doctors.js` brings it.
'use strict';

const http = require('node:http');
const { DynamoDBClient, GetItemCommand } = require('@aws-sdk/client-dynamodb');
const { SQSClient, GetQueueUrlCommand, ReceiveMessageCommand, DeleteMessageCommand } = require('@aws-sdk/client-sqs');
const { Pool } = require('pg');
const log = require('pino')({ name: 'doctors' });

const dynamodb = new DynamoDBClient();
const sqs = new SQSClient();
const database = new Pool({ connectionString: process.env.DATABASE_URL });

async function doctorOf(clinic) {
  // A table for each clinic; the one that somebody forgot is what this app is broken by.
  const TableName = `doctors-${clinic}`;
  const { Item } = await dynamodb.send(new GetItemCommand({ TableName, Key: { shift: { S: 'day' } } }));
  return Item.doctor.S;
}

const server = http.createServer(async (request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const [, clinic] = /^\/clinics\/([a-z]+)\/doctor$/.exec(request.url) ?? [];
  if (!clinic) return answer(404, { error: 'no such page' });
  try {
    const doctor = await doctorOf(clinic);
    log.info(`${doctor} is the doctor of ${clinic}`);
    answer(200, { doctor });
  } catch (error) {
    log.error({ err: error }, `GetItem of doctors-${clinic} failed: ${error.name}`);
    answer(error.name === 'ResourceNotFoundException' ? 404 : 500, { error: `clinic ${clinic}: ${error.message}` });
  }
});

async function welcome() {
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: 'registrations' }));
  for (;;) {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 1, MaxNumberOfMessages: 10 }));
    for (const { Body, ReceiptHandle } of Messages) {
      const { patient, name } = JSON.parse(Body);
      await database.query('INSERT INTO welcomes (patient) VALUES ($1)', [patient]);
      await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
      log.info(`welcome, ${name}`);
    }
  }
}

server.listen(Number(process.env.PORT), '127.0.0.1', () => log.info('ready'));
welcome().catch((error) => {
  log.fatal({ err: error }, 'nobody is welcomed any more');
  process.exit(1);
});

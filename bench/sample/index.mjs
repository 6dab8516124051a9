// Works as the AWS sample does: parameters and a secret are read, and a credential is built, for every event; the object is
// held in memory; no version, header, tag or checksum is carried over.

import { S3Client, GetObjectCommand } from "@aws-sdk/client-s3";
import { SecretsManagerClient, GetSecretValueCommand } from "@aws-sdk/client-secrets-manager";
import { SSMClient, GetParameterCommand } from "@aws-sdk/client-ssm";
import { ClientSecretCredential } from "@azure/identity";
import { BlobServiceClient } from "@azure/storage-blob";

const s3 = new S3Client({ forcePathStyle: true });
const ssm = new SSMClient();
const secrets = new SecretsManagerClient();

async function parameter(Name) {
  const { Parameter } = await ssm.send(new GetParameterCommand({ Name }));
  return Parameter.Value;
}

export async function handler(event) {
  const tenant = await parameter("tenant");
  const client = await parameter("client");
  const { SecretString } = await secrets.send(new GetSecretValueCommand({ SecretId: "secret" }));
  const credential = new ClientSecretCredential(tenant, client, SecretString, {
    authorityHost: process.env.AUTHORITY,
    disableInstanceDiscovery: true,
  });
  const container = new BlobServiceClient(process.env.ACCOUNT_URL, credential).getContainerClient(process.env.CONTAINER);
  for (const record of event.Records) {
    const Key = decodeURIComponent(record.s3.object.key);
    const object = await s3.send(new GetObjectCommand({ Bucket: record.s3.bucket.name, Key }));
    const bytes = await object.Body.transformToByteArray();
    await container.getBlockBlobClient(Key).uploadData(bytes);
  }
  return { copied: event.Records.length };
}

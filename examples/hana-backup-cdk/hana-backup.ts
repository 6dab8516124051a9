// SAP HANA backups in S3 with a replica in another region: ../hana-backup/template.yaml without its third copy as a stack of the CDK,
// with the same logical ids, so that each can take over a stack of the other.
import { Aws, CfnElement, CfnOutput, Duration, Stack, StackProps } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import * as s3 from "aws-cdk-lib/aws-s3";
import * as sns from "aws-cdk-lib/aws-sns";
import { Construct } from "constructs";

import { CrossRegionResource, keptWhenReplaced } from "./cross-region";

/** The parameters of the template; what they mean is written there. */
export interface HanaBackupProps extends StackProps {
  readonly originalBucketName: string;
  readonly originalCmkAlias: string;
  readonly replicationRegion: string;
  readonly replicationBucketName: string;
  readonly replicationCmkAlias: string;
  readonly ec2RoleToRunBackup: string;
  readonly kmsAdminRole: string;
  readonly replicateDeleteMarkers?: boolean;
  readonly archiveAfter?: Duration;
  readonly expireAfter?: Duration;
  readonly noncurrentExpireAfter?: Duration;
  readonly abortUploadsAfter?: Duration;
  readonly keyDeletion?: Duration;
  readonly alarmEmail?: string;
  readonly logRetention?: Duration;
}

const MADE_BY_S3 = [{ serverSideEncryptionByDefault: { sseAlgorithm: "AES256" } }];
const PRIVATE = {
  ownershipControls: { rules: [{ objectOwnership: "BucketOwnerEnforced" }] },
  publicAccessBlockConfiguration: {
    blockPublicAcls: true,
    blockPublicPolicy: true,
    ignorePublicAcls: true,
    restrictPublicBuckets: true,
  },
};
const USE_OF_A_KEY = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"];
const ADMINISTRATION = [
  "CancelKeyDeletion",
  "CreateAlias",
  "DeleteAlias",
  "DescribeKey",
  "DisableKey",
  "DisableKeyRotation",
  "EnableKey",
  "EnableKeyRotation",
  "GetKeyPolicy",
  "GetKeyRotationStatus",
  "ListGrants",
  "ListKeyPolicies",
  "ListKeyRotations",
  "ListResourceTags",
  "PutKeyPolicy",
  "RevokeGrant",
  "RotateKeyOnDemand",
  "ScheduleKeyDeletion",
  "TagResource",
  "UntagResource",
  "UpdateAlias",
  "UpdateKeyDescription",
].map((action) => `kms:${action}`);

export class HanaBackup extends Stack {
  private readonly days: Record<"archive" | "expire" | "noncurrent" | "uploads" | "key" | "logs", number>;

  constructor(scope: Construct, id: string, private readonly props: HanaBackupProps) {
    super(scope, id, props);
    const days = (given: Duration | undefined, otherwise: number) => given?.toDays() ?? otherwise;
    this.days = {
      archive: days(props.archiveAfter, 7),
      expire: days(props.expireAfter, 365),
      noncurrent: days(props.noncurrentExpireAfter, 90),
      uploads: days(props.abortUploadsAfter, 7),
      key: days(props.keyDeletion, 30),
      logs: days(props.logRetention, 90),
    };
    const replica = this.replica();
    const key = this.key();
    const accessLogs = new s3.CfnBucket(this, "AccessLogs", {
      ...PRIVATE,
      bucketName: `${props.originalBucketName}-logs`,
      bucketEncryption: { serverSideEncryptionConfiguration: MADE_BY_S3 },
      lifecycleConfiguration: {
        rules: [
          {
            id: "expire",
            status: "Enabled",
            expirationInDays: this.days.logs,
            abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
          },
        ],
      },
    });
    const alarms = this.alarms();
    const role = this.replicationRole(key, replica.key);
    const bucket = this.bucket(key, replica, accessLogs, alarms, role);
    this.policies(bucket, key, accessLogs);
    new cloudwatch.CfnAlarm(this, "ReplicationAlarm", {
      alarmDescription: "Backups were not replicated. S3 does not try again by itself; S3 Batch Replication does.",
      namespace: "AWS/S3",
      metricName: "OperationsFailedReplication",
      dimensions: [
        { name: "SourceBucket", value: bucket.ref },
        { name: "DestinationBucket", value: props.replicationBucketName },
        { name: "RuleId", value: "backups" },
      ],
      statistic: "Sum",
      period: 300,
      evaluationPeriods: 1,
      comparisonOperator: "GreaterThanThreshold",
      threshold: 0,
      treatMissingData: "notBreaching",
      alarmActions: [alarms.topic.ref],
      okActions: [alarms.topic.ref],
    });

    new CfnOutput(this, "BucketName", { value: bucket.ref });
    new CfnOutput(this, "KeyArn", { value: key.attrArn });
    new CfnOutput(this, "ReplicationBucketArn", { value: replica.bucket.ref });
    new CfnOutput(this, "ReplicationKeyArn", { value: replica.key.ref });
    new CfnOutput(this, "AlarmsArn", { value: alarms.topic.ref });
  }

  /** The id of the construct, without the hash that usually makes it one of a kind: the template's. */
  protected allocateLogicalId(element: CfnElement): string {
    return element.node.path.split("/").slice(1).filter((part) => part !== "Resource").join("");
  }

  /** The key and the buckets of the other region. */
  private replica() {
    const { replicationRegion: Region, replicationBucketName: name, ec2RoleToRunBackup: user, kmsAdminRole } = this.props;
    const key = new CrossRegionResource(this, "ReplicationKey", "CrossRegion::KMS::Key", {
      Region,
      AliasName: this.props.replicationCmkAlias,
      Description: "Encrypts the replica of the HANA backups",
      EnableKeyRotation: true,
      KeyAdministrators: [kmsAdminRole],
      KeyUsers: [user],
      PendingWindowInDays: this.days.key,
    });
    const accessLogs = new CrossRegionResource(this, "ReplicationAccessLogs", "CrossRegion::S3::Bucket", {
      Region,
      BucketName: `${name}-logs`,
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } }],
      },
      PolicyDocument: document(mayLog(`${arn(name)}-logs/objects/*`, arn(name), "AccessLogs")),
      LifecycleConfiguration: {
        Rules: [
          {
            Id: "expire",
            Status: "Enabled",
            ExpirationInDays: this.days.logs,
            AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
          },
        ],
      },
    });
    const bucket = new CrossRegionResource(this, "ReplicationBucket", "CrossRegion::S3::Bucket", {
      Region,
      BucketName: name,
      VersioningConfiguration: { Status: "Enabled" },
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [
          { ServerSideEncryptionByDefault: { SSEAlgorithm: "aws:kms", KMSMasterKeyID: key.ref }, BucketKeyEnabled: true },
        ],
      },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      OwnershipControls: { Rules: [{ ObjectOwnership: "BucketOwnerEnforced" }] },
      EnforceTls: true,
      EnforceEncryption: true,
      // After a disaster the backups are read from here.
      PolicyDocument: document(
        allow(
          ["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionTagging", "s3:RestoreObject"],
          [`${arn(name)}/*`],
          { sid: "ReadReplicas", principals: [new iam.ArnPrincipal(user)] },
        ),
        allow(["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketVersions"], [arn(name)], {
          sid: "ListReplicas",
          principals: [new iam.ArnPrincipal(user)],
        }),
      ),
      LoggingConfiguration: { DestinationBucketName: accessLogs.bucketName, LogFilePrefix: "objects/" },
      LifecycleConfiguration: {
        Rules: [
          {
            Id: "archive",
            Status: "Enabled",
            Transitions: [{ StorageClass: "GLACIER", TransitionInDays: this.days.archive }],
            ExpirationInDays: this.days.expire,
            NoncurrentVersionExpiration: { NoncurrentDays: this.days.noncurrent },
            AbortIncompleteMultipartUpload: { DaysAfterInitiation: this.days.uploads },
          },
        ],
      },
    });
    [key, bucket].forEach(keptWhenReplaced);
    return { key, bucket };
  }

  private key(): kms.CfnKey {
    const { ec2RoleToRunBackup, kmsAdminRole, originalCmkAlias } = this.props;
    const key = new kms.CfnKey(this, "Key", {
      description: "Encrypts the HANA backups",
      enableKeyRotation: true,
      pendingWindowInDays: this.days.key,
      keyPolicy: document(
        // Without it the key could be lost to everybody, and no role's own policy would count.
        allow(["kms:*"], ["*"], { sid: "Account", principals: [new iam.AccountRootPrincipal()] }),
        allow(ADMINISTRATION, ["*"], { sid: "Administrators", principals: [new iam.ArnPrincipal(kmsAdminRole)] }),
        allow(USE_OF_A_KEY, ["*"], { sid: "Users", principals: [new iam.ArnPrincipal(ec2RoleToRunBackup)] }),
      ),
    });
    keptWhenReplaced(key);
    new kms.CfnAlias(this, "Alias", { aliasName: originalCmkAlias, targetKeyId: key.ref });
    return key;
  }

  private alarms() {
    const topic = new sns.CfnTopic(this, "Alarms", { displayName: "HANA backups" });
    const policy = new sns.CfnTopicPolicy(this, "AlarmsPolicy", {
      topics: [topic.ref],
      policyDocument: document(
        allow(["sns:Publish"], [topic.ref], {
          sid: "Replication",
          principals: [new iam.ServicePrincipal("s3.amazonaws.com")],
          // By its name: the bucket needs this policy first.
          conditions: {
            ArnLike: { "aws:SourceArn": arn(this.props.originalBucketName) },
            StringEquals: { "aws:SourceAccount": Aws.ACCOUNT_ID },
          },
        }),
        allow(["sns:Publish"], [topic.ref], {
          sid: "Alarms",
          principals: [new iam.ServicePrincipal("cloudwatch.amazonaws.com")],
          conditions: { StringEquals: { "aws:SourceAccount": Aws.ACCOUNT_ID } },
        }),
      ),
    });
    if (this.props.alarmEmail) {
      const endpoint = this.props.alarmEmail;
      new sns.CfnSubscription(this, "AlarmsByEmail", { topicArn: topic.ref, protocol: "email", endpoint });
    }
    return { topic, policy };
  }

  private replicationRole(key: kms.CfnKey, replicationKey: CrossRegionResource): iam.CfnRole {
    const { originalBucketName, replicationBucketName, replicationRegion } = this.props;
    const [source, destination] = [arn(originalBucketName), arn(replicationBucketName)];
    // S3 names the bucket in the encryption context where the bucket's key is used, and the object where it is not.
    const forS3 = (region: string, bucket: string) => ({
      StringEquals: { "kms:ViaService": `s3.${region}.${Aws.URL_SUFFIX}` },
      StringLike: { "kms:EncryptionContext:aws:s3:arn": [bucket, `${bucket}/*`] },
    });
    return new iam.CfnRole(this, "ReplicationRole", {
      description:
        "S3's, for the replication of HANA backups. It reads objects of the source, and writes replicas under the replica's key.",
      assumeRolePolicyDocument: document(
        new iam.PolicyStatement({
          principals: [new iam.ServicePrincipal("s3.amazonaws.com")],
          actions: ["sts:AssumeRole"],
        }),
      ),
      policies: [
        {
          policyName: "replicate",
          policyDocument: document(
            allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], [source]),
            allow(
              ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"],
              [`${source}/*`],
            ),
            allow(["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"], [`${destination}/*`]),
            allow(["kms:Decrypt"], [key.attrArn], { conditions: forS3(Aws.REGION, source) }),
            // A bucket's key is made of a data key.
            allow(["kms:Encrypt", "kms:GenerateDataKey"], [replicationKey.ref], {
              conditions: forS3(replicationRegion, destination),
            }),
          ),
        },
      ],
    });
  }

  private bucket(
    key: kms.CfnKey,
    replica: { key: CrossRegionResource; bucket: CrossRegionResource },
    accessLogs: s3.CfnBucket,
    alarms: { topic: sns.CfnTopic; policy: sns.CfnTopicPolicy },
    role: iam.CfnRole,
  ): s3.CfnBucket {
    const failures = ["OperationFailedReplication", "OperationMissedThreshold", "OperationNotTracked"];
    const bucket = new s3.CfnBucket(this, "Bucket", {
      ...PRIVATE,
      bucketName: this.props.originalBucketName,
      versioningConfiguration: { status: "Enabled" },
      bucketEncryption: {
        serverSideEncryptionConfiguration: [
          {
            serverSideEncryptionByDefault: { sseAlgorithm: "aws:kms", kmsMasterKeyId: key.attrArn },
            bucketKeyEnabled: true,
          },
        ],
      },
      loggingConfiguration: { destinationBucketName: accessLogs.ref, logFilePrefix: "objects/" },
      lifecycleConfiguration: {
        rules: [
          {
            id: "archive",
            status: "Enabled",
            transitions: [{ storageClass: "GLACIER", transitionInDays: this.days.archive }],
            expirationInDays: this.days.expire,
            noncurrentVersionExpiration: { noncurrentDays: this.days.noncurrent },
            abortIncompleteMultipartUpload: { daysAfterInitiation: this.days.uploads },
          },
        ],
      },
      replicationConfiguration: {
        role: role.attrArn,
        rules: [
          {
            id: "backups",
            status: "Enabled",
            priority: 1,
            filter: { prefix: "" },
            deleteMarkerReplication: { status: this.props.replicateDeleteMarkers ? "Enabled" : "Disabled" },
            sourceSelectionCriteria: { sseKmsEncryptedObjects: { status: "Enabled" } },
            destination: {
              bucket: replica.bucket.ref,
              encryptionConfiguration: { replicaKmsKeyId: replica.key.ref },
              replicationTime: { status: "Enabled", time: { minutes: 15 } },
              metrics: { status: "Enabled", eventThreshold: { minutes: 15 } },
            },
          },
        ],
      },
      notificationConfiguration: {
        topicConfigurations: failures.map((event) => ({ event: `s3:Replication:${event}`, topic: alarms.topic.ref })),
      },
    });
    // S3 tries whether it may send before it takes the notification.
    bucket.addResourceDependency(alarms.policy);
    keptWhenReplaced(bucket);
    return bucket;
  }

  private policies(bucket: s3.CfnBucket, key: kms.CfnKey, accessLogs: s3.CfnBucket): void {
    new s3.CfnBucketPolicy(this, "AccessLogsPolicy", {
      bucket: accessLogs.ref,
      policyDocument: document(
        onlyTls(accessLogs.attrArn),
        mayLog(`${accessLogs.attrArn}/objects/*`, bucket.attrArn),
      ),
    });
    const user = [new iam.ArnPrincipal(this.props.ec2RoleToRunBackup)];
    const objects = `${bucket.attrArn}/*`;
    const [algorithm, named] = ["s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"];
    const refuse = (sid: string, conditions: Record<string, unknown>) =>
      deny(["s3:PutObject"], [objects], { sid, conditions });
    new s3.CfnBucketPolicy(this, "BucketPolicy", {
      bucket: bucket.ref,
      policyDocument: document(
        onlyTls(bucket.attrArn, "OnlyTls"),
        // What names no encryption gets the bucket's. Only what asks for another is refused.
        refuse("NoOtherAlgorithm", { Null: { [algorithm]: "false" }, StringNotEquals: { [algorithm]: "aws:kms" } }),
        refuse("NoOtherKey", { Null: { [named]: "false" }, ArnNotEquals: { [named]: key.attrArn } }),
        // SSE-KMS without a key means the account's aws/s3, whose objects do not replicate.
        refuse("NoNamelessKey", { Null: { [algorithm]: "false", [named]: "true" } }),
        refuse("NoKeysOfCustomers", { Null: { "s3:x-amz-server-side-encryption-customer-algorithm": "false" } }),
        // A deletion leaves a marker. Versions are removed by the lifecycle alone.
        allow(
          [
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:GetObjectTagging",
            "s3:GetObjectVersion",
            "s3:ListMultipartUploadParts",
            "s3:PutObject",
            "s3:PutObjectTagging",
            "s3:RestoreObject",
          ],
          [objects],
          { sid: "Backups", principals: user },
        ),
        allow(
          [
            "s3:GetBucketAcl",
            "s3:GetBucketLocation",
            "s3:GetBucketPolicy",
            "s3:GetBucketPolicyStatus",
            "s3:ListBucket",
            "s3:ListBucketMultipartUploads",
            "s3:ListBucketVersions",
          ],
          [bucket.attrArn],
          { sid: "List", principals: user },
        ),
      ),
    });
  }
}

/** The ARN of a bucket by its name. */
function arn(bucket: string): string {
  return `arn:${Aws.PARTITION}:s3:::${bucket}`;
}

function document(...statements: iam.PolicyStatement[]): iam.PolicyDocument {
  return new iam.PolicyDocument({ statements });
}

function allow(actions: string[], resources: string[], more: iam.PolicyStatementProps = {}): iam.PolicyStatement {
  return new iam.PolicyStatement({ actions, resources, ...more });
}

function deny(actions: string[], resources: string[], more: iam.PolicyStatementProps): iam.PolicyStatement {
  return allow(actions, resources, { effect: iam.Effect.DENY, principals: [new iam.AnyPrincipal()], ...more });
}

function onlyTls(bucket: string, sid?: string): iam.PolicyStatement {
  return deny(["s3:*"], [bucket, `${bucket}/*`], { sid, conditions: { Bool: { "aws:SecureTransport": "false" } } });
}

function mayLog(to: string, bucket: string, sid?: string): iam.PolicyStatement {
  return allow(["s3:PutObject"], [to], {
    sid,
    principals: [new iam.ServicePrincipal("logging.s3.amazonaws.com")],
    conditions: { ArnLike: { "aws:SourceArn": bucket }, StringEquals: { "aws:SourceAccount": Aws.ACCOUNT_ID } },
  });
}

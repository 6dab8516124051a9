// An S3 bucket whose objects are copied to Azure Blob Storage as they arrive: ../s3-to-azure/template.yaml as a stack of the
// CDK, with the same logical ids, so that each can take over a stack of the other.
import { Aws, CfnElement, CfnOutput, Duration, Fn, RemovalPolicy, Stack, StackProps } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import * as events from "aws-cdk-lib/aws-events";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import * as s3 from "aws-cdk-lib/aws-s3";
import * as sns from "aws-cdk-lib/aws-sns";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";

import { AzureResource } from "./azure";

const AUDIENCE = "api://AzureADTokenExchange";

/** The parameters of the template; what they mean is written there. */
export interface S3ToAzureProps extends StackProps {
  readonly codeBucket: string;
  readonly codeKey?: string;
  readonly codeVersion?: string;
  readonly architecture?: lambda.Architecture;
  readonly kmsKeyArn?: string;
  readonly location?: string;
  readonly replication?: string;
  readonly container?: string;
  readonly issuer: string;
  readonly versionRetentionDays?: number;
  readonly deletes?: "retain" | "tombstone" | "propagate";
  readonly maximumConcurrency?: number;
  readonly functionTimeout?: Duration;
  readonly functionMemory?: number;
  readonly visibilityTimeout?: Duration;
  readonly maximumReceives?: number;
  readonly alarmTopicArn?: string;
  readonly lagAlarm?: Duration;
  readonly logRetention?: logs.RetentionDays;
}

export class S3ToAzure extends Stack {
  constructor(scope: Construct, id: string, props: S3ToAzureProps) {
    const description = "An S3 bucket whose objects are copied to Azure Blob Storage as they arrive, with no secret in either cloud.";
    super(scope, id, { description, ...props });
    const container = props.container ?? "backup";
    const { bucket, accessLogs } = this.buckets(props);
    const { queue, deadLetters } = this.queues(props, bucket);
    const log = new logs.LogGroup(this, "Log", {
      retention: props.logRetention ?? logs.RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = this.role(props, bucket, queue, log);
    const azure = this.azure(props, role);

    const code = s3.Bucket.fromBucketName(this, "Code", props.codeBucket);
    const backup = new lambda.Function(this, "Function", {
      description: "Copies S3 objects to Azure Blob Storage",
      runtime: lambda.Runtime.PROVIDED_AL2023,
      handler: "bootstrap",
      architecture: props.architecture ?? lambda.Architecture.X86_64,
      code: lambda.Code.fromBucket(code, props.codeKey ?? "backup-lambda.zip", props.codeVersion),
      memorySize: props.functionMemory ?? 1024,
      timeout: props.functionTimeout ?? Duration.minutes(5),
      role,
      logGroup: log,
      environment: {
        AZURE_TENANT_ID: azure.identity.attribute("TenantId"),
        AZURE_CLIENT_ID: azure.identity.attribute("ClientId"),
        BACKUP_CONTAINER_URL: `${azure.account.attribute("PrimaryEndpoints.Blob")}${container}`,
        BACKUP_DELETES: props.deletes ?? "retain",
      },
    });
    const mapping = new lambda.EventSourceMapping(this, "Mapping", {
      target: backup,
      eventSourceArn: queue.queueArn,
      batchSize: 10,
      reportBatchItemFailures: true,
      maxConcurrency: props.maximumConcurrency ?? 10,
    });
    // Events wait until the function may write.
    mapping.node.addDependency(azure.mayWrite, azure.trust);
    const blobs = azure.account.attribute("PrimaryEndpoints.Blob");
    this.watch(props, queue, deadLetters, backup, `${Fn.select(2, Fn.split("/", blobs))}/${container}`);

    new CfnOutput(this, "BucketName", { value: bucket.bucketName });
    new CfnOutput(this, "AccessLogsName", { value: accessLogs.bucketName });
    new CfnOutput(this, "QueueUrl", { value: queue.queueUrl });
    new CfnOutput(this, "DeadLettersUrl", { value: deadLetters.queueUrl });
    new CfnOutput(this, "FunctionName", { value: backup.functionName });
    new CfnOutput(this, "ContainerUrl", { value: `${blobs}${container}` });
  }

  /** The id of the construct, without the hash that usually makes it one of a kind: the template's. */
  protected allocateLogicalId(element: CfnElement): string {
    return element.node.path.split("/").slice(1).filter((part) => part !== "Resource").join("");
  }

  private buckets(props: S3ToAzureProps) {
    const key = props.kmsKeyArn ? kms.Key.fromKeyArn(this, "Key", props.kmsKeyArn) : undefined;
    const common = {
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      // Neither is deleted as long as there is an object in it.
      removalPolicy: RemovalPolicy.DESTROY,
    };
    const accessLogs = new s3.Bucket(this, "AccessLogs", {
      ...common,
      encryption: s3.BucketEncryption.S3_MANAGED,
      lifecycleRules: [
        {
          id: "expire",
          expiration: Duration.days(props.logRetention ?? 90),
          abortIncompleteMultipartUploadAfter: Duration.days(7),
        },
      ],
    });
    const bucket = new s3.Bucket(this, "Bucket", {
      ...common,
      versioned: true,
      encryption: key ? s3.BucketEncryption.KMS : s3.BucketEncryption.S3_MANAGED,
      encryptionKey: key,
      bucketKeyEnabled: key ? true : undefined,
    });
    // By themselves: what the CDK would add for these two is an access control list, and a function that calls S3.
    const plain = bucket.node.defaultChild as s3.CfnBucket;
    plain.loggingConfiguration = { destinationBucketName: accessLogs.bucketName, logFilePrefix: "objects/" };
    plain.notificationConfiguration = { eventBridgeConfiguration: { eventBridgeEnabled: true } };
    accessLogs.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [new iam.ServicePrincipal("logging.s3.amazonaws.com")],
        actions: ["s3:PutObject"],
        resources: [accessLogs.arnForObjects("objects/*")],
        conditions: {
          ArnLike: { "aws:SourceArn": bucket.bucketArn },
          StringEquals: { "aws:SourceAccount": Aws.ACCOUNT_ID },
        },
      }),
    );
    return { bucket, accessLogs };
  }

  private queues(props: S3ToAzureProps, bucket: s3.Bucket) {
    const common = {
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    };
    const deadLetters = new sqs.Queue(this, "DeadLetters", common);
    const queue = new sqs.Queue(this, "Queue", {
      ...common,
      visibilityTimeout: props.visibilityTimeout ?? Duration.minutes(30),
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: props.maximumReceives ?? 5 },
    });
    const rule = new events.Rule(this, "Rule", {
      description: "What happens to the objects of the bucket",
      eventPattern: {
        source: ["aws.s3"],
        detailType: [
          "Object Created",
          "Object Deleted",
          "Object Restore Completed",
          "Object Tags Added",
          "Object Tags Deleted",
          "Object Storage Class Changed",
        ],
        detail: { bucket: { name: [bucket.bucketName] } },
      },
    });
    rule.addTarget({
      bind: () => ({ id: "queue", arn: queue.queueArn, deadLetterConfig: { arn: deadLetters.queueArn } }),
    });
    const rules = `arn:${Aws.PARTITION}:events:${Aws.REGION}:${Aws.ACCOUNT_ID}:rule/${Aws.STACK_NAME}-*`;
    const may = (one: sqs.Queue, conditions: Record<string, unknown>) =>
      one.addToResourcePolicy(
        new iam.PolicyStatement({
          principals: [new iam.ServicePrincipal("events.amazonaws.com")],
          actions: ["sqs:SendMessage"],
          resources: [one.queueArn],
          conditions,
        }),
      );
    may(queue, { ArnLike: { "aws:SourceArn": rules } });
    may(deadLetters, { ArnEquals: { "aws:SourceArn": rule.ruleArn } });
    return { queue, deadLetters };
  }

  private watch(props: S3ToAzureProps, queue: sqs.Queue, dead: sqs.Queue, backup: lambda.Function, container: string) {
    const topic = props.alarmTopicArn ? sns.Topic.fromTopicArn(this, "Topic", props.alarmTopicArn) : undefined;
    const alarm = (id: string, alarmDescription: string, metric: cloudwatch.Metric, threshold: number, periods: number) => {
      const made = new cloudwatch.Alarm(this, id, {
        alarmDescription,
        metric,
        threshold,
        evaluationPeriods: periods,
        comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
      });
      if (topic) {
        made.addAlarmAction(new SnsAction(topic));
        made.addOkAction(new SnsAction(topic));
      }
    };
    const [minute, minutes] = [Duration.minutes(1), Duration.minutes(5)];
    const metric = (metricName: string, statistic: string) =>
      new cloudwatch.Metric({
        namespace: "Backup",
        metricName,
        statistic,
        period: minutes,
        dimensionsMap: { Container: container },
      });
    const waiting = dead.metricApproximateNumberOfMessagesVisible({ statistic: "Maximum", period: minute });
    const oldest = queue.metricApproximateAgeOfOldestMessage({ statistic: "Maximum", period: minute });
    const tooLate = (props.lagAlarm ?? Duration.minutes(15)).toSeconds();
    const notCopied = "Objects were not copied. They are tried again; the function's log says why.";
    const failed = "The function itself failed, was killed or ran out of time.";
    alarm("DeadLettersAlarm", "Events that the backup gave up on wait in the dead-letter queue.", waiting, 0, 1);
    alarm("AgeAlarm", "The oldest event has waited too long.", oldest, tooLate, 3);
    alarm("FailuresAlarm", notCopied, metric("Failures", "Sum"), 0, 1);
    alarm("LagAlarm", "Objects reach Azure too late.", metric("Lag", "Maximum"), tooLate * 1000, 3);
    alarm("ErrorsAlarm", failed, backup.metricErrors({ period: minutes }), 0, 1);

    const copied = (name: string, ...how: object[]) => ["Backup", name, "Container", container, ...how];
    const queued = (name: string, one: sqs.Queue, label: string) => ["AWS/SQS", name, "QueueName", one.queueName, { label }];
    const run = (name: string, ...how: object[]) => ["AWS/Lambda", name, "FunctionName", backup.functionName, ...how];
    const widget = (x: number, y: number, width: number, properties: object) => ({
      type: "metric",
      x,
      y,
      width,
      height: 6,
      properties: { region: Aws.REGION, view: "timeSeries", period: 300, ...properties },
    });
    const counts = ["Objects", "Skipped", "Deletions", "Unfinished", "Unverified", "Failures"];
    const widgets = [
      widget(0, 0, 12, { title: "Objects", stat: "Sum", metrics: counts.map((name) => copied(name)) }),
      widget(12, 0, 12, { title: "Bytes", stat: "Sum", metrics: [copied("Bytes")] }),
      widget(0, 6, 12, {
        title: "From S3 to Azure, milliseconds",
        metrics: [
          copied("Lag", { stat: "p50", label: "half" }),
          copied("Lag", { stat: "p99", label: "99 of 100" }),
          copied("Lag", { stat: "Maximum", label: "all" }),
          copied("OldestAge", { stat: "Maximum", label: "oldest event" }),
        ],
      }),
      widget(12, 6, 12, {
        title: "Events that wait",
        stat: "Maximum",
        period: 60,
        metrics: [
          queued("ApproximateNumberOfMessagesVisible", queue, "waiting"),
          queued("ApproximateNumberOfMessagesNotVisible", queue, "under way"),
          queued("ApproximateNumberOfMessagesVisible", dead, "given up on"),
        ],
      }),
      widget(0, 12, 24, {
        title: "The function",
        stat: "Sum",
        metrics: [
          run("Invocations"),
          run("Errors"),
          run("Throttles"),
          run("ConcurrentExecutions", { stat: "Maximum" }),
          run("Duration", { stat: "Maximum", yAxis: "right" }),
        ],
      }),
    ];
    new cloudwatch.CfnDashboard(this, "Dashboard", { dashboardBody: this.toJsonString({ widgets }) });
  }

  private role(props: S3ToAzureProps, bucket: s3.Bucket, queue: sqs.Queue, log: logs.LogGroup) {
    const statements = [
      allow(
        ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectVersionTagging"],
        [bucket.arnForObjects("*")],
      ),
      // Without it S3 answers for an object that is gone as it does for one that may not be read.
      allow(["s3:ListBucket", "s3:ListBucketVersions"], [bucket.bucketArn]),
      allow(
        // What takes longer than an invocation is sent again.
        ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage"],
        [queue.queueArn],
      ),
      allow(["logs:CreateLogStream", "logs:PutLogEvents"], [log.logGroupArn]),
      allow(["sts:GetWebIdentityToken"], ["*"], {
        "ForAllValues:StringEquals": { "sts:IdentityTokenAudience": [AUDIENCE] },
        Null: { "sts:IdentityTokenAudience": "false" },
      }),
    ];
    if (props.kmsKeyArn) {
      const service = `s3.${Aws.REGION}.${Aws.URL_SUFFIX}`;
      statements.push(allow(["kms:Decrypt"], [props.kmsKeyArn], { StringEquals: { "kms:ViaService": service } }));
    }
    return new iam.Role(this, "Role", {
      description: "The backup's function. Azure trusts it by its ARN.",
      assumedBy: new iam.ServicePrincipal("lambda.amazonaws.com"),
      inlinePolicies: { backup: new iam.PolicyDocument({ statements }) },
    });
  }

  private azure(props: S3ToAzureProps, role: iam.Role) {
    const location = props.location ?? "australiaeast";
    const retention = { Enabled: true, Days: props.versionRetentionDays ?? 90 };
    const group = new AzureResource(this, "Group", "Azure::Resources::ResourceGroup", { Location: location });
    const account = new AzureResource(this, "Account", "Azure::Storage::StorageAccount", {
      ResourceGroupId: group.ref,
      Location: location,
      Kind: "StorageV2",
      Sku: { Name: props.replication ?? "Standard_ZRS" },
      AccessTier: "Hot",
      MinimumTlsVersion: "TLS1_2",
      SupportsHttpsTrafficOnly: true,
      AllowBlobPublicAccess: false,
      AllowSharedKeyAccess: false,
      DefaultToOAuthAuthentication: true,
      AllowCrossTenantReplication: false,
    });
    const blobs = new AzureResource(this, "Blobs", "Azure::Storage::BlobService", {
      StorageAccountId: account.ref,
      IsVersioningEnabled: true,
      DeleteRetentionPolicy: retention,
      ContainerDeleteRetentionPolicy: retention,
    });
    const container = new AzureResource(this, "BlobContainer", "Azure::Storage::BlobContainer", {
      StorageAccountId: account.ref,
      ContainerName: props.container ?? "backup",
    });
    // What is written before versions are kept has none.
    container.addResourceDependency(blobs);
    const identity = new AzureResource(this, "Identity", "Azure::ManagedIdentity::UserAssignedIdentity", {
      ResourceGroupId: group.ref,
      Location: location,
    });
    const trust = new AzureResource(this, "Trust", "Azure::ManagedIdentity::FederatedIdentityCredential", {
      IdentityId: identity.ref,
      Issuer: props.issuer,
      Subject: role.roleArn,
      Audiences: [AUDIENCE],
    });
    const mayWrite = new AzureResource(this, "MayWrite", "Azure::Authorization::RoleAssignment", {
      Scope: container.ref,
      // The one built-in role that may write a blob's index tags.
      RoleName: "Storage Blob Data Owner",
      PrincipalId: identity.attribute("PrincipalId"),
      PrincipalType: "ServicePrincipal",
    });
    return { account, identity, trust, mayWrite };
  }
}

function allow(actions: string[], resources: string[], conditions?: Record<string, unknown>): iam.PolicyStatement {
  return new iam.PolicyStatement({ actions, resources, conditions });
}

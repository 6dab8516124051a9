// The resource types of AWS in another region as constructs: their properties are those of ../../docs.
import { Arn, ArnFormat, CfnDeletionPolicy, CfnResource } from "aws-cdk-lib";
import { Construct } from "constructs";

type Properties = Record<string, unknown>;

/** `Ref` is the ARN. */
export class CrossRegionResource extends CfnResource {
  constructor(scope: Construct, id: string, type: `CrossRegion::${string}::${string}`, properties: Properties) {
    super(scope, id, { type, properties });
  }

  /** The name in the ARN of a bucket. */
  get bucketName(): string {
    return Arn.split(this.ref, ArnFormat.NO_RESOURCE_NAME).resource;
  }
}

/** What holds data outlives its replacement; and its deletion is refused or can be cancelled. */
export function keptWhenReplaced(resource: CfnResource): void {
  resource.cfnOptions.updateReplacePolicy = CfnDeletionPolicy.RETAIN;
  resource.cfnOptions.deletionPolicy = CfnDeletionPolicy.DELETE;
}

//! Azure for CloudFormation handlers.

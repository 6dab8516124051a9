//! S3 objects reach Azure Blob Storage and come back, and none is lost.

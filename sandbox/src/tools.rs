//! Pinned third-party tools, installed under `target/tools` the first time they are needed.

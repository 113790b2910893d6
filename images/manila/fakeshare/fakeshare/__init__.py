"""A share driver for clouds without a storage: a share is a record, and cannot be mounted."""

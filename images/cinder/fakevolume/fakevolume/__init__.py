"""A volume driver and a backup driver for clouds without a storage: volumes are sparse files."""

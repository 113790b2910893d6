"""A compute driver for clouds without a hypervisor: nova's FakeDriver, and what it leaves out."""

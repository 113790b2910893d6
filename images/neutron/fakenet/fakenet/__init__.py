"""An ML2 mechanism driver for clouds whose servers run on a fake hypervisor."""

"""Every name of a floating IP or port counts as published: no name server is asked.

Without a driver neutron drops the dns_name and dns_domain of a floating IP.
"""

from neutron.services.externaldns import driver


class FakeNetDnsDriver(driver.ExternalDNSService):
    """Takes each record set, and keeps none: neutron has the names."""

    def create_record_set(self, context, dns_domain, dns_name, records):
        pass

    def delete_record_set(self, context, dns_domain, dns_name, records):
        pass

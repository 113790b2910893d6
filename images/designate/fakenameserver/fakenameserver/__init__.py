"""The name server of a pool of designate's: it stands where BIND or PowerDNS would be."""

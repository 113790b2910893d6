"""Published advisories: read from files, compared with versions, written as Trivy's database."""

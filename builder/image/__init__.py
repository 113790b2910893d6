"""From the catalogue to built images: plan, Dockerfiles and bake file, root file system, build."""

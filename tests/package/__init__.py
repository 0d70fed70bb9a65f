"""The Debian package: built, and put to work in a minimal Debian 12 that is booted in a container."""

"""The command `ghostbeam`, and the services that it starts and ends."""

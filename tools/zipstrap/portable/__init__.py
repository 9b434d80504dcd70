"""What runs on either floor: imported by the host, and copied to where an application loads its plugins.

3.8 syntax, the standard library alone, and nothing of zipstrap but what lies in this folder.
"""

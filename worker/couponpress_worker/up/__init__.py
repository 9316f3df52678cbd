"""`couponpress up`: every service of couponpress on this machine, in one terminal."""

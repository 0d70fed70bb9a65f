"""The calls of the admin API: each reads what is asked, and answers what the module of the subject says."""

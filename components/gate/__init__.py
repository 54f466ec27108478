"""Stage gate: may this adapter be promoted?"""

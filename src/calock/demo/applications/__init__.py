"""Two sample applications on origins of their own, which log in through the platform: 项目采购 by OpenID Connect, 电子卖场 by CAS.

They are what an integrator would write, with client libraries that are none of the platform's own.
"""
